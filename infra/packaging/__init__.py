"""What goes into the Lambda layers, and how large the functions are with them."""

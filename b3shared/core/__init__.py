"""What every part needs and what needs no part: errors, settings, time, text, arrays, names of classes."""

"""The Random Forest: model, search, ONNX export."""

"""The multi-task LSTM: network, training in slices, ONNX export.

The only place that imports torch.
"""

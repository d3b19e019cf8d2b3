"""What a training leaves beside the model, by name: who reads it need not import TensorFlow."""

RECORD, MARGINS, AUGMENTED = "record.json", "margins.npz", "augmented.png"  # in `paths.training`
STOPPED = "stopped.json"  # in `paths.memo.training`: of the last run, if it was stopped

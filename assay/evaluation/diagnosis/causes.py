"""What each cause is called, for people; docs/diagnose.md has a section for each."""

TITLES = {
    # contracts
    "prepared_otherwise": "Images are prepared otherwise for prediction than for training",
    "scaling": "The network is given pixels of another scale than networks learn from",
    "label_map": "The classes are in another order than the model learnt",
    "conflicting_labels": "The same picture has several labels",
    "leakage": "Test images were trained on",
    "shortcut": "Something else than what is shown gives the class away",
    "imbalance": "Rare classes are not learnt, and the accuracy hides it",
    "foreign_test": "The test images come from elsewhere",
    "small_test": "The test set is too small for the question",
    "used_test": "The test set was used for choosing",
    "gate": "The data did not pass the gate",
    # symptoms
    "stopped": "The training was stopped, for nothing was learnt",
    "rate_too_high": "The learning rate is too high",
    "rate_too_low": "The learning rate is too low",
    "too_few_epochs": "The training ends too early",
    "batch_too_small": "The batches are too small",
    "dead_units": "Parts of the network are dead",
    "vanishing_gradients": "The gradients vanish before they reach the first layers",
    "dropout_too_strong": "Dropout is too strong",
    "penalty_too_strong": "Weights are held too small: l1, l2 or weight decay",
    "augmentation_too_strong": "Augmentation is too strong",
    "label_noise": "Many labels are wrong",
    "backbone_destroyed": "Fine-tuning destroys what the backbone knew",
    "overfitting": "What is learnt by heart does not hold for new images",
    "augmentation_too_weak": "There is too little augmentation",
    "model_too_large": "The network is too large for so few images",
    "too_few_images": "There are too few images",
    "model_too_small": "The network does not fit even the train images",
}


def within(cause: str) -> str:
    """Return the title as it stands within a sentence."""
    title = TITLES[cause]
    return title[0].lower() + title[1:]

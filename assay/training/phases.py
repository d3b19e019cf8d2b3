"""In which order a network's layers learn: all at once, or of a transferred one the head first."""

from collections.abc import Callable
from dataclasses import dataclass

from assay import params
from assay.training import catalogue, transfer
from assay.training.tensors import keras


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Epochs that are learnt in one way."""

    begin: int  # from 0
    end: int
    learning_rate: float
    prepare: Callable[[], object]  # sets which layers learn


def phases(network: keras.Model, p: params.Train) -> list[Phase]:
    """Return the phases of `p.epochs`: of a backbone its head alone, then its last layers too, if any are named."""
    if p.network not in catalogue.BACKBONES:
        return [Phase(begin=0, end=p.epochs, learning_rate=p.learning_rate, prepare=lambda: None)]
    name, n_head = p.transfer.from_layer, p.epochs if p.transfer.from_layer is None else p.transfer.head_epochs

    def freeze() -> None:
        transfer.freeze_base(network)

    def unfreeze() -> None:
        transfer.freeze_base(network)
        transfer.unfreeze_from(network, str(name))

    head = Phase(begin=0, end=min(n_head, p.epochs), learning_rate=p.learning_rate, prepare=freeze)
    rest = Phase(begin=head.end, end=p.epochs, learning_rate=p.transfer.learning_rate, prepare=unfreeze)
    return [head, rest] if rest.begin < rest.end else [head]

import pytest
from pydantic import ValidationError

from service.policy import Area, ClassPolicy, Obscure, Policy, Shape

FACE = ClassPolicy(name="face", threshold=0.2, margin=0.1, shape=Shape.ELLIPSE)
PLATE = ClassPolicy(name="plate", threshold=0.45, margin=0.1, shape=Shape.BOX)


def test_the_digest_names_the_values_and_not_the_order_in_which_they_were_given() -> None:
    assert Policy(classes=(FACE, PLATE)).digest == Policy(classes=(PLATE, FACE)).digest


@pytest.mark.parametrize(
    "other",
    [
        Policy(classes=(FACE,)),
        Policy(classes=(FACE, PLATE), quality=90),
        Policy(classes=(FACE, PLATE.model_copy(update={"obscure": Obscure.FILL}))),
        Policy(classes=(FACE, PLATE), regions=(Area.from_box(0, 0, 5, 5),)),
    ],
)
def test_the_digest_changes_with_every_value(other: Policy) -> None:
    assert other.digest != Policy(classes=(FACE, PLATE)).digest


def test_a_policy_is_hashable_and_frozen() -> None:
    policy = Policy(classes=(FACE,))
    assert hash(policy) == hash(Policy(classes=(FACE,)))
    with pytest.raises(ValidationError):
        policy.quality = 80  # type: ignore[misc]


def test_strength_goes_only_upward() -> None:
    with pytest.raises(ValidationError):
        ClassPolicy(name="face", threshold=0.2, margin=0.1, shape=Shape.ELLIPSE, strength=0.9)


def test_a_class_may_appear_only_once() -> None:
    with pytest.raises(ValidationError, match="only once"):
        Policy(classes=(FACE, FACE))


@pytest.mark.parametrize("box", [(5, 0, 5, 5), (0, 9, 5, 5), (float("nan"), 0, 5, 5)])
def test_a_box_without_area_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="box"):
        Area.from_box(*box)

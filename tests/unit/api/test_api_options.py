import pytest

from service.api.options import Options, option_names, parse_options
from service.api.services import OptionRules
from service.errors import InvalidRequest, NotPermitted
from service.policy import (
    Area,
    ClassPolicy,
    Effort,
    GeoPrecision,
    MetadataMode,
    MetadataPolicy,
    Obscure,
    OutputFormat,
    Policy,
    Residual,
    Shape,
    Verify,
)

FACE = ClassPolicy(name="face", threshold=0.3, margin=0.1, shape=Shape.ELLIPSE)
PLATE = ClassPolicy(name="plate", threshold=0.4, margin=0.2, shape=Shape.BOX)
RULES = OptionRules(Policy(classes=(FACE, PLATE), quality=90))


def parse(query: dict[str, str] | None = None, **arguments: object) -> Options:
    return parse_options(list((query or {}).items()), arguments.pop("rules", RULES), **arguments)  # type: ignore[arg-type]


def pointers(query: dict[str, str], **arguments: object) -> set[str]:
    with pytest.raises(InvalidRequest) as caught:
        parse(query, **arguments)
    assert all(problem.detail for problem in caught.value.problems)
    return {problem.pointer for problem in caught.value.problems}


def test_no_option_gives_the_deployments_defaults() -> None:
    options = parse()
    assert options == Options(RULES.defaults)
    assert options.policy.digest == RULES.defaults.digest


def test_every_option_reaches_the_policy() -> None:
    options = parse(
        {
            "classes": "plate,face",
            "obscure": "pixelate",
            "obscure.plate": "fill",
            "strength": "2",
            "strength.face": "3.5",
            "margin": "0.5",
            "margin.plate": "0",
            "threshold.face": "0.05",
            "threshold.plate": "0.9",
            "effort": "thorough",
            "projection": "planar",
            "metadata": "strip",
            "regions": "[[1,2,30,40],[[0,0],[10,0],[5,8.5]]]",
            "format": "png",
            "quality": "77",
            "verify": "redetect",
            "residual": "refuse",
            "coding": "baseline",
            "source_ref": "run 7/Straße",
        }
    )
    face = ClassPolicy(
        name="face", threshold=0.05, margin=0.5, shape=Shape.ELLIPSE, obscure=Obscure.PIXELATE, strength=3.5
    )
    plate = ClassPolicy(name="plate", threshold=0.9, margin=0, shape=Shape.BOX, obscure=Obscure.FILL, strength=2)
    assert options.policy == Policy(
        classes=(face, plate),
        region_obscure=Obscure.PIXELATE,
        region_strength=2,
        effort=Effort.THOROUGH,
        projection="planar",  # type: ignore[arg-type]
        format=OutputFormat.PNG,
        quality=77,
        verify=Verify.REDETECT,
        residual=Residual.REFUSE,
        reencode=True,
        coding="baseline",  # type: ignore[arg-type]
        regions=(Area.from_box(1, 2, 30, 40), Area(points=((0, 0), (10, 0), (5, 8.5)))),
    )
    assert options.source_ref == "run 7/Straße"
    assert options.policy.digest != RULES.defaults.digest


def test_every_documented_option_is_read() -> None:
    """No name of the list is accepted and then forgotten: a wrong value of each is noticed."""
    names = [name for name in option_names(["face", "plate"], "anonymize") if name != "exclude"]
    assert pointers(dict.fromkeys(names, "")) == {f"/{name}" for name in names}


def test_a_class_that_is_left_out_is_not_looked_for() -> None:
    assert parse({"classes": "plate"}).policy.class_names == ("plate",)


@pytest.mark.parametrize(
    "query",
    [
        {"clases": "face"},
        {"obscure.dog": "fill"},
        {"threshold": "0.5"},
        {"threshold.face": "0"},
        {"threshold.face": "1"},
        {"threshold.face": "nan"},
        {"threshold.plate": "high"},
        {"strength": "0.9"},
        {"strength": "inf"},
        {"margin.face": "-0.1"},
        {"obscure": "Blur"},
        {"effort": "most"},
        {"format": "gif"},
        {"quality": "49"},
        {"quality": "80.5"},
        {"coding": "progressive"},
        {"classes": ""},
        {"classes": "face,"},
        {"classes": "face,dog"},
        {"classes": "face,face"},
        {"source_ref": ""},
        {"source_ref": "x" * 201},
        {"source_ref": "line\nfeed"},
        {"coordinates": "raw"},
        {"projection": "cubic"},
        {"metadata": "all"},
        {"geo": "10m"},
        {"geo": "5m", "metadata": "everything"},
    ],
)
def test_what_is_wrong_is_pointed_at(query: dict[str, str]) -> None:
    assert pointers(query) == {f"/{name}" for name in query}


def test_all_problems_are_reported_at_once() -> None:
    wrong = {"quality": "1", "a/b~c": "x", "threshold.face": "2", "regions": "[[1,2,0,4],[1,2,3,4],[[1,1]]]"}
    assert pointers(wrong) == {"/quality", "/a~1b~0c", "/threshold.face", "/regions/0", "/regions/2"}


def test_a_flood_of_options_is_one_problem() -> None:
    assert pointers({f"option{i}": "" for i in range(100_000)}) == {""}


def test_an_option_of_a_class_that_is_not_asked_for_is_refused() -> None:
    assert pointers({"classes": "face", "obscure.plate": "fill"}) == {"/obscure.plate"}


def test_the_same_option_twice_is_refused_wherever_it_comes_from() -> None:
    assert pointers({"quality": "80"}, form=[("quality", "80")]) == {"/quality"}
    with pytest.raises(InvalidRequest):
        parse_options([("quality", "80"), ("quality", "90")], RULES)


def test_form_fields_and_query_parameters_add_up() -> None:
    options = parse({"quality": "80"}, form=[("format", "webp")])
    assert (options.policy.quality, options.policy.format) == (80, OutputFormat.WEBP)


def test_a_misspelt_option_is_met_with_the_right_one() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse({"treshold.face": "0.2"})
    assert "'threshold.face'" in caught.value.problems[0].detail


def test_exclude_is_not_permitted_unless_the_deployment_allows_it() -> None:
    with pytest.raises(NotPermitted):
        parse({"exclude": "[[0,0,9,9]]", "quality": "1"})
    allowed = OptionRules(RULES.defaults, allow_exclude=True)
    assert parse({"exclude": "[[0,0,9,9]]"}, rules=allowed).policy.exclude == (Area.from_box(0, 0, 9, 9),)


def test_regions_do_not_go_with_stored_coordinates() -> None:
    """They would be hidden in the wrong place of a picture that is turned."""
    assert pointers({"coordinates": "stored", "regions": "[[0,0,9,9]]"}) == {"/coordinates"}


def test_a_position_is_rounded_only_where_there_is_one() -> None:
    assert pointers({"metadata": "strip", "geo": "10m"}) == {"/geo"}
    policy = parse({"metadata": "geo", "geo": "10m"}).policy
    assert policy.metadata_policy == MetadataPolicy(MetadataMode.GEO, GeoPrecision.TEN)
    listed = Policy(classes=RULES.defaults.classes, metadata=MetadataMode.KEEP, metadata_allow=("Copyright",))
    policy = parse({"geo": "1m"}, rules=OptionRules(listed)).policy
    assert policy.metadata_policy == MetadataPolicy(MetadataMode.KEEP, GeoPrecision.ONE, allow=("Copyright",))
    for name in ("metadata_owner", "metadata_allow"):
        assert pointers({name: "true"}) == {f"/{name}"}


def test_detection_refuses_what_only_a_picture_can_show() -> None:
    wrong = {"format": "png", "obscure.face": "fill", "regions": "[]"}
    assert pointers(wrong, operation="detect") == {f"/{name}" for name in wrong}
    options = parse({"classes": "face", "threshold.face": "0.2", "coordinates": "stored"}, operation="detect")
    assert options.coordinates == "stored"
    assert options.policy.of("face").threshold == 0.2

from pathlib import Path

import pytest

from service.settings import Settings, SettingsError, variables


def test_defaults_are_safe() -> None:
    settings = Settings.load({})
    assert settings.server.loopback
    assert not settings.keys_needed
    assert not settings.access.allow_exclude


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::", "veil.example"])
def test_any_other_address_than_loopback_needs_keys(host: str) -> None:
    assert Settings.load({"VEIL_SERVER__HOST": host}).keys_needed


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    assert not Settings.load({"VEIL_SERVER__HOST": host}).keys_needed


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("VEIL_SERVER__PROT", "VEIL_SERVER__PORT"), ("VEIL_SERVR__PORT", "VEIL_SERVER__PORT")],
)
def test_a_misspelled_variable_is_refused_with_the_right_name(name: str, nearest: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: there is no such setting; did you mean {nearest}"):
        Settings.load({name: "1"})


def test_a_wrong_value_is_named_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load({"VEIL_DATABASE__POOL_SIZE": "s3cret"})
    assert "VEIL_DATABASE__POOL_SIZE" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_secret_comes_from_a_file_and_does_not_show(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://veil:hush@db/veil\n", encoding="utf-8")
    settings = Settings.load({"VEIL_DATABASE__URL_FILE": str(secret)})
    assert settings.database.url.get_secret_value() == "postgresql://veil:hush@db/veil"
    assert "hush" not in repr(settings)


def test_a_missing_secret_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="VEIL_DATABASE__URL_FILE: the file cannot be read"):
        Settings.load({"VEIL_DATABASE__URL_FILE": str(tmp_path / "absent")})


def test_a_setting_given_twice_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("sqlite:///b.db", encoding="utf-8")
    with pytest.raises(SettingsError, match="given twice"):
        Settings.load({"VEIL_DATABASE__URL": "sqlite:///a.db", "VEIL_DATABASE__URL_FILE": str(tmp_path / "url")})


def test_thresholds_are_json() -> None:
    assert Settings.load({"VEIL_DEFAULTS__THRESHOLD": '{"face": 0.3}'}).defaults.threshold == {"face": 0.3}
    with pytest.raises(SettingsError, match="not valid JSON"):
        Settings.load({"VEIL_DEFAULTS__THRESHOLD": "{face: 0.3}"})


def test_every_setting_has_a_description() -> None:
    for group, field in variables().values():
        model = Settings.model_fields[group].annotation
        assert model is not None
        assert model.model_fields[field].description, f"{group}.{field}"


def test_networks_are_a_json_list() -> None:
    allow = Settings.load({"VEIL_PANORAMAX__ALLOW": '["10.1.0.0/16", "fd00::/8"]'}).panoramax.allow
    assert [str(each) for each in allow] == ["10.1.0.0/16", "fd00::/8"]
    for wrong in ("10.1.0.0/16", '["10.1.0.7/16"]', '["everybody"]'):
        with pytest.raises(SettingsError, match="VEIL_PANORAMAX__ALLOW"):
            Settings.load({"VEIL_PANORAMAX__ALLOW": wrong})


@pytest.mark.parametrize(
    ("environ", "networks"),
    [
        ({}, ["127.0.0.0/8", "::1/128"]),
        ({"VEIL_SERVER__HOST": "0.0.0.0"}, []),
        ({"VEIL_SERVER__HOST": "0.0.0.0", "VEIL_PANORAMAX__ENABLED": "true"}, ["127.0.0.0/8", "::1/128"]),
        ({"VEIL_SERVER__HOST": "0.0.0.0", "VEIL_PANORAMAX__ALLOW": '["10.0.0.0/8"]'}, ["10.0.0.0/8"]),
        ({"VEIL_PANORAMAX__ENABLED": "false", "VEIL_PANORAMAX__ALLOW": '["10.0.0.0/8"]'}, []),
    ],
)
def test_the_blur_api_is_open_to_listed_networks_only(environ: dict[str, str], networks: list[str]) -> None:
    assert [str(each) for each in Settings.load(environ).panoramax_networks] == networks


def test_a_secret_may_look_like_json() -> None:
    secret = Settings.load({"VEIL_OBSCURING__SECRET": "{[not json"}).obscuring.secret
    assert secret is not None
    assert secret.get_secret_value() == "{[not json"


def test_tags_that_are_kept_are_named_as_exif_names_them() -> None:
    listed = '["imagedescription", "0xC6D3", "0x8298"]'
    assert Settings.load({"VEIL_METADATA__ALLOW": listed}).metadata.allow == ("0xC6D3", "Copyright", "ImageDescription")


@pytest.mark.parametrize("tag", ["MakerNote", "0x927c", "XMP", "0x014A", "PrintIM", "Thumbnail"])
def test_tags_that_can_carry_a_picture_cannot_be_kept(tag: str) -> None:
    with pytest.raises(SettingsError, match=r"VEIL_METADATA__ALLOW: .*(kept nowhere|neither an EXIF tag)"):
        Settings.load({"VEIL_METADATA__ALLOW": f'["{tag}"]'})


def test_origins_are_listed_as_browsers_name_them() -> None:
    listed = '["https://viewer.example", "http://10.1.2.3:8080", "http://[fd00::1]:8080"]'
    assert len(Settings.load({"VEIL_CORS__ORIGINS": listed}).cors.origins) == 3
    assert Settings.load({}).cors.origins == ()


@pytest.mark.parametrize("origin", ["*", "null", "viewer.example", "https://viewer.example/", "https://*.example", ""])
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(SettingsError, match="VEIL_CORS__ORIGINS"):
        Settings.load({"VEIL_CORS__ORIGINS": f'["{origin}"]'})

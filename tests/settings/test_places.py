from pathlib import Path

from mailgate.places import folder


def test_an_installed_package_carries_its_templates(tmp_path: Path) -> None:
    package = tmp_path / "mailgate"
    (package / "_templates").mkdir(parents=True)
    (tmp_path / "templates").mkdir()
    assert folder("templates", package) == package / "_templates"


def test_a_checkout_has_them_beside_the_package(tmp_path: Path) -> None:
    package = tmp_path / "mailgate"
    package.mkdir()
    assert folder("templates", package) == tmp_path / "templates"


def test_the_templates_of_this_checkout_are_found() -> None:
    assert (folder("templates") / "mail" / "invitation" / "text.ja.txt").is_file()

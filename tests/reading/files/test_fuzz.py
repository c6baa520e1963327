from fuzz import run


def test_files_with_fields_changed_at_random_are_read_or_refused_in_one_line():
    outcomes, broken = run(300, first=1_000_000)
    assert not broken
    assert outcomes["read"] > 60 and outcomes["refused"] > 60, "both happen"

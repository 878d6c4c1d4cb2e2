"""Append-only files after a torn line, a full disk and a crash of the machine."""

import pytest

from polyrefuse_evaluation import record_lines
from polyrefuse_evaluation.record_lines import append_lines, is_torn, whole_lines, whole_size


@pytest.fixture
def path(tmp_path):
    return tmp_path / "records.jsonl"


@pytest.mark.parametrize("torn", [b"", b"{", b'{"a": 1}', b"\0" * 200_000])
def test_an_append_goes_on_behind_the_last_whole_line(path, torn):
    path.write_bytes(b'{"a": 0}\n' + torn)
    append_lines(path, b'{"a": 2}\n')
    assert path.read_bytes() == b'{"a": 0}\n{"a": 2}\n'


def test_a_file_without_any_whole_line_begins_anew(path):
    path.write_bytes(b'{"a":')
    assert whole_size(path) == 0
    append_lines(path, b"{}\n")
    assert path.read_bytes() == b"{}\n"


def test_what_a_full_disk_took_of_an_append_is_cut_off(path, monkeypatch):
    append_lines(path, b'{"a": 0}\n')
    write = record_lines.Path.open

    class Full:
        def __init__(self, stream):
            self.stream = stream

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.stream.close()

        def __getattr__(self, name):
            return getattr(self.stream, name)

        def write(self, data):
            if len(data) < 5:
                raise OSError(28, "No space left on device")
            return self.stream.write(bytes(data)[: len(data) // 2])

    def opened(self, mode="r", *rest, **named):
        stream = write(self, mode, *rest, **named)
        return Full(stream) if "a" in mode else stream

    monkeypatch.setattr(record_lines.Path, "open", opened)
    with pytest.raises(OSError, match="No space left"):
        append_lines(path, b'{"a": 1}\n{"a": 2}\n')
    monkeypatch.undo()
    assert path.read_bytes() == b'{"a": 0}\n'


def test_a_torn_line_in_the_middle_is_told_from_a_record_of_another_version(path):
    path.write_bytes(b'{"a": 0}\n\0\0\0\0\n{"b": 1}\n{"c"')
    assert [number for number, line in whole_lines(path) if is_torn(line)] == [2]
    assert len(list(whole_lines(path))) == 3
    assert path.stat().st_size > whole_size(path)

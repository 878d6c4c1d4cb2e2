"""A planted model is trained once, whole or not at all."""

import multiprocessing
import os
import signal
import time

import pytest

from polyrefuse_evaluation.planted_cache import cache_folder, train_once


def slowly(folder, counted, seconds):
    def train(unfinished):
        with counted.open("a") as stream:
            stream.write("x")
        (unfinished / "weights").write_text("half", encoding="utf-8")
        time.sleep(seconds)
        (unfinished / "weights").write_text("whole", encoding="utf-8")

    train_once(folder, {"seed": 0}, train)


def start(*arguments):
    process = multiprocessing.get_context("fork").Process(target=slowly, args=arguments)
    process.start()
    return process


def test_of_two_processes_one_trains_and_the_other_waits(tmp_path):
    folder, counted = tmp_path / "planted" / "one", tmp_path / "counted"
    both = [start(folder, counted, 0.5) for _ in range(2)]
    for process in both:
        process.join(30)
    assert [process.exitcode for process in both] == [0, 0]
    assert counted.read_text() == "x"
    assert (folder / "weights").read_text(encoding="utf-8") == "whole"


def test_what_a_kill_left_is_trained_again_and_removed(tmp_path):
    folder, counted = tmp_path / "planted" / "one", tmp_path / "counted"
    process = start(folder, counted, 60)
    while not (counted.exists() and counted.read_text()):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    assert not folder.exists()
    slowly(folder, counted, 0)
    assert counted.read_text() == "xx"
    assert (folder / "weights").read_text(encoding="utf-8") == "whole"
    left = [path.name for path in folder.parent.iterdir() if not path.name.endswith(".lock")]
    assert left == ["one"]


def test_training_that_fails_leaves_nothing(tmp_path):
    def fail(unfinished):
        (unfinished / "weights").write_text("half", encoding="utf-8")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train_once(tmp_path / "one", {}, fail)
    assert [path.name for path in tmp_path.iterdir()] == [".one.lock"]


def test_other_texts_are_other_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("POLYREFUSE_CACHE", str(tmp_path))
    one = cache_folder("single", 0, 2, ["a"])
    assert one == cache_folder("single", 0, 2, ["a"])
    others = [cache_folder("two", 0, 2, ["a"]), cache_folder("single", 1, 2, ["a"])]
    others += [cache_folder("single", 0, 3, ["a"]), cache_folder("single", 0, 2, ["b"])]
    assert len({one, *others}) == 5

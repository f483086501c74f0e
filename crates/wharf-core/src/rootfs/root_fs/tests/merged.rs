//! What the merge of layers gives: whiteouts, links, and the last of several entries.

use super::fixtures::{directory, file, hard_link, layer_of, merged, names, symlink};

#[tokio::test]
async fn whiteouts_hide_lower_layers_only_and_never_leave() {
    let lower = [
        directory("d"),
        file("d/old", "1"),
        file("e/x", "2"),
        file("f", "3"),
    ];
    let upper = [
        file("d/.wh..wh..opq", ""),
        file("d/new", "4"),
        directory("e"),
        file("e/y", "5"),
        file(".wh.e", ""),
        file(".wh.f", ""),
        file(".wh..wh.plnk/1", ""),
    ];
    assert_eq!(
        names(&[&lower, &upper]).await,
        ["d/new=4", "e/", "e/y=5", "d/"]
    );
    assert_eq!(names(&[&upper]).await, ["d/new=4", "e/", "e/y=5"]);
}

#[tokio::test]
async fn of_a_set_of_hard_links_one_may_be_replaced() {
    let lower = [
        file("t1", "123"),
        hard_link("t2", "t1"),
        hard_link("t3", "t1"),
    ];
    let replaced = [file("t1", "456")];
    let expected = ["t1=456", "t2=123", "t3=>t2"];
    assert_eq!(names(&[&lower, &replaced]).await, expected);
    let gone = [file(".wh.t1", ""), file(".wh.t3", "")];
    assert_eq!(names(&[&lower, &gone]).await, ["t2=123"]);
    let linked_above = [hard_link("t0", "t2"), file(".wh.t2", "")];
    let error = merged(&[layer_of(&lower), layer_of(&linked_above)])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("t0: a hard link to t2"),
        "{error}"
    );
    let linked_above = [hard_link("t0", "t2")];
    let expected = ["t1=123", "t0=>t1", "t2=>t1", "t3=>t1"];
    assert_eq!(names(&[&lower, &linked_above]).await, expected);
}

#[tokio::test]
async fn the_last_entry_of_a_name_counts_once() {
    let layer = [
        file("a", "1"),
        file("./a", "2"),
        directory("b"),
        file("b/c", "3"),
        file("b", "4"),
    ];
    assert_eq!(names(&[&layer]).await, ["a=2", "b=4"]);
    let above = [file("b/c/d", "5")];
    assert_eq!(names(&[&layer, &above]).await, ["b/c/d=5", "a=2"]);
}

#[tokio::test]
async fn links_are_kept_as_they_are_and_followed_in_the_middle_of_a_name() {
    let lower = [
        directory("usr"),
        directory("usr/lib"),
        symlink("lib", "usr/lib"),
        symlink("up", "../../../etc"),
        symlink("abs", "/usr/lib/../x"),
    ];
    let upper = [
        file("lib/libc", "1"),
        file("up/passwd", "2"),
        file("abs/y", "3"),
    ];
    let expected = [
        "usr/lib/libc=1",
        "etc/passwd=2",
        "usr/x/y=3",
        "usr/",
        "usr/lib/",
        "lib->usr/lib",
        "up->../../../etc",
        "abs->/usr/lib/../x",
    ];
    assert_eq!(names(&[&lower, &upper]).await, expected);
    let round = [symlink("a", "b"), symlink("b", "a"), file("a/x", "1")];
    let error = merged(&[layer_of(&round)]).await.unwrap_err();
    assert!(
        error.to_string().contains("a/x: more than 40 links"),
        "{error}"
    );
}

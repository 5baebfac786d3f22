//! Manifests that cannot work: refused with place and remedy, and nothing of them applied.

use crate::lab::Lab;

#[test]
fn a_set_with_one_mistake_is_refused_as_a_whole() {
    let Some(lab) = Lab::start("a_set_with_one_mistake_is_refused_as_a_whole", 1) else {
        return;
    };
    let good = "apiVersion: v1\nkind: Pod\nmetadata: {name: good}\nspec: {containers: [{name: c, command: [sleep, infinity]}]}\n---\n";
    for (bad, words) in [
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: b, annotations: {weft.dev/interfaces: l/vhost}}\nspec: {containers: [{name: c, command: [x]}]}\n",
            ["manifest.yaml:6", "vhost", "hint:"],
        ),
        (
            "apiVersion: weft.dev/v1alpha1\nkind: ServiceFunctionChain\nmetadata: {name: c}\nspec: {clasifier: {module: x.wasm}}\n",
            ["manifest.yaml:9", "clasifier", "unknown field"],
        ),
        (
            "apiVersion: weft.dev/v1alpha1\nkind: ServiceFunctionChain\nmetadata: {name: c}\nspec: {classifier: {module: none.wasm}, source: {podSelector: {matchLabels: {a: b}}}, hops: [{name: h, podSelector: {matchLabels: {c: d}}, input: l, output: r, onFailure: FailOpen}]}\n",
            ["manifest.yaml:6", "none.wasm", "hint:"],
        ),
        (
            "apiVersion: weft.dev/v1alpha1\nkind: ServiceFunctionChain\nmetadata: {name: c}\nspec: {classifier: {module: m.wasm}, source: {podSelector: {matchLabels: {a: b}}}, hops: [{name: h, podSelector: {matchLabels: {c: d}}, input: l, output: l, onFailure: FailOpen}]}\n",
            ["manifest.yaml:6", "input and output are both", "hint:"],
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: [\n",
            ["manifest.yaml:", "", ""],
        ),
    ] {
        let output = lab.apply(&format!("{good}{bad}"));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "accepted: {bad}");
        for word in words {
            assert!(text.contains(word), "`{word}` is not in: {text}");
        }
        assert_eq!(
            lab.status()["pods"].as_object().map(serde_json::Map::len),
            Some(0),
            "{text}"
        );
    }
}

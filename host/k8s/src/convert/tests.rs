use std::path::Path;

use expect_test::{Expect, expect};

use super::*;
use crate::manifest::{self, Object};

fn spec(classifier: &str, hops: &str) -> Result<ChainSpec, ConvertError> {
    chain(&object(classifier, hops))
}

fn object(classifier: &str, hops: &str) -> crd::ServiceFunctionChain {
    let text = format!(
        "apiVersion: weft.dev/v1alpha1\nkind: ServiceFunctionChain\nmetadata: {{ name: web }}\nspec:\n  \
         classifier: {{ module: {classifier} }}\n  source: {{ podSelector: {{ matchLabels: {{ app: c }} }} }}\n  \
         hops: {hops}\n"
    );
    let manifests = manifest::parse(Path::new("chain.yaml"), &text).unwrap();
    let Object::Chain(found) = &manifests[0].object else {
        unreachable!("the text is a chain")
    };
    (**found).clone()
}

fn hop(name: &str, cnf: &str, input: &str, output: &str) -> String {
    format!(
        "{{name: {name}, podSelector: {{matchLabels: {{cnf: {cnf}}}}}, input: {input}, output: {output}, onFailure: FailOpen}}"
    )
}

fn refused(classifier: &str, hops: &str, expected: &Expect) {
    expected.assert_eq(&spec(classifier, hops).unwrap_err().to_string());
}

#[test]
fn a_chain_keeps_its_hops_in_order() {
    let hops = format!(
        "[{}, {}]",
        hop("a", "fw", "l", "r"),
        hop("b", "rl", "l", "r")
    );
    let spec = spec("m.wasm", &hops).unwrap();
    assert_eq!(
        spec.hops
            .iter()
            .map(|h| h.name.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(spec.return_path, ReturnPath::Symmetric);
    assert_ne!(spec.generation, 0);
}

#[test]
fn chains_that_cannot_work_are_refused_with_field_and_remedy() {
    refused(
        "m.wasm",
        "[]",
        &expect!["`spec.hops`: a chain has 1 to 16 hops, this one has 0; hint: split the chain"],
    );
    refused(
        "../m.wasm",
        &format!("[{}]", hop("a", "fw", "l", "r")),
        &expect![
            "`spec.classifier.module` must be a relative path without `..`, not `../m.wasm`; hint: name a file of the module directory"
        ],
    );
    refused(
        "m.wasm",
        &format!("[{}]", hop("a", "fw", "l", "l")),
        &expect!["`spec.hops[0]`: input and output are both `l`; hint: a hop needs two interfaces"],
    );
    let twice = format!(
        "[{}, {}]",
        hop("a", "fw", "l", "r"),
        hop("a", "rl", "l", "r")
    );
    refused(
        "m.wasm",
        &twice,
        &expect!["`spec.hops[1].name`: `a` is used by an earlier hop; hint: name each hop once"],
    );
    let loops = format!(
        "[{}, {}]",
        hop("a", "fw", "l", "r"),
        hop("b", "fw", "r", "l")
    );
    refused(
        "m.wasm",
        &loops,
        &expect![
            "`spec.hops[1]` selects the same pods and input as hop 0: the chain would loop; hint: give the hop pods of its own"
        ],
    );
    let all = "[{name: a, podSelector: {}, input: l, output: r, onFailure: FailOpen}]";
    refused(
        "m.wasm",
        all,
        &expect![
            "`spec.hops[0].podSelector` is empty and would select every pod; hint: add matchLabels"
        ],
    );
}

#[test]
fn steering_is_optional_and_its_path_is_checked() {
    let hops = format!("[{}]", hop("a", "fw", "l", "r"));
    assert_eq!(spec("m.wasm", &hops).unwrap().steering, None);
    let steered = |module: &str| {
        let mut object = object("m.wasm", &hops);
        object.spec.steering = Some(crd::Steering {
            module: module.to_owned(),
            config: serde_json::json!({"near": true}),
        });
        chain(&object)
    };
    let steering = steered("least-loaded.wasm").unwrap().steering.unwrap();
    assert_eq!(steering.module, "least-loaded.wasm");
    assert_eq!(steering.config["near"], true);
    expect![
        "`spec.steering.module` must be a relative path without `..`, not `/m.wasm`; hint: name a file of the module directory"
    ]
    .assert_eq(&steered("/m.wasm").unwrap_err().to_string());
}

#[test]
fn definitions_in_deploy_are_what_the_types_say() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/crds");
    for (file, text) in crate::crd::definitions().unwrap() {
        expect_test::expect_file![dir.join(file)].assert_eq(&text);
    }
}

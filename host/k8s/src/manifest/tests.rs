use expect_test::{Expect, expect};

use super::*;

fn check(text: &str, expected: &Expect) {
    let seen = match parse(Path::new("chain.yaml"), text) {
        Ok(list) => list
            .iter()
            .map(|m| format!("{} {} at {}", m.object.kind(), m.name, m.origin))
            .collect::<Vec<_>>()
            .join("\n"),
        Err(e) => e.to_string(),
    };
    expected.assert_eq(&seen);
}

const CHAIN: &str = "\
apiVersion: weft.dev/v1alpha1
kind: ServiceFunctionChain
metadata: { name: web }
spec:
  classifier: { module: web.wasm }
  source: { podSelector: { matchLabels: { app: client } } }
  hops:
    - name: fw
      podSelector: { matchLabels: { cnf: fw } }
      input: left
      output: right
      onFailure: FailClosed
";

#[test]
fn several_documents_keep_their_lines() {
    let text = format!(
        "# a comment\n---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: a}}\n---\n{CHAIN}"
    );
    check(
        &text,
        &expect![[r#"
            Namespace a/a at chain.yaml:3
            ServiceFunctionChain default/web at chain.yaml:7"#]],
    );
}

#[test]
fn a_misspelt_field_is_refused_with_its_line() {
    check(
        &CHAIN.replace("onFailure", "onFail"),
        &expect![
            "chain.yaml:12: unknown field `onFail`, expected one of name, podSelector, input, output, onFailure"
        ],
    );
}

#[test]
fn a_missing_selector_is_refused_with_its_line() {
    check(
        &CHAIN.replace("      podSelector: { matchLabels: { cnf: fw } }\n", ""),
        &expect!["chain.yaml:11: missing field `podSelector`"],
    );
}

#[test]
fn a_value_that_is_none_of_the_choices_is_refused() {
    check(
        &CHAIN.replace("FailClosed", "FailSoft"),
        &expect!["chain.yaml:12: unknown variant `FailSoft`, expected one of FailOpen, FailClosed"],
    );
}

#[test]
fn text_that_is_no_yaml_is_refused() {
    check(
        "apiVersion: v1\nkind: [Pod\n",
        &expect!["chain.yaml:2: expected string scalar"],
    );
}

#[test]
fn an_unknown_kind_is_refused_with_what_is_known() {
    check(
        "apiVersion: v1\nkind: Pood\nmetadata: {name: x}\n",
        &expect![
            "chain.yaml:1: `v1` `Pood` is not known; hint: use v1 Namespace, Pod, Service or ConfigMap, apps/v1 Deployment, networking.k8s.io/v1 NetworkPolicy, weft.dev/v1alpha1 ServiceFunctionChain"
        ],
    );
}

#[test]
fn a_name_that_kubernetes_would_refuse_is_refused() {
    check(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: My_Pod}\nspec: {containers: []}\n",
        &expect![
            "chain.yaml:1: object name `My_Pod` is not valid; hint: use lower-case letters, digits, `-` and `.`, at most 253, starting and ending with a letter or digit"
        ],
    );
}

#[test]
fn an_object_defined_twice_is_refused_with_both_places() {
    let list = parse(Path::new("a.yaml"), &format!("{CHAIN}---\n{CHAIN}")).unwrap();
    expect!["a.yaml:14: ServiceFunctionChain `default/web` is already defined at a.yaml:1; hint: rename or remove one"].assert_eq(&check_unique(&list).unwrap_err().to_string());
}

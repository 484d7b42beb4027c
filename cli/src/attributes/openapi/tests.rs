//! Documents and the operations that come of them.

use super::*;

fn read(text: &str, base: Option<&str>) -> (Result<Vec<String>, String>, Vec<String>) {
    let root = Node::read(text).unwrap();
    let mut document = Document::new(&root, base.map(str::to_owned));
    let told = |Problem { place, message }: &Problem| format!("{}:{}: {message}", place.line, place.column);
    let operations = document.operations().map_err(|problem| told(&problem));
    let lines = operations.map(|all| all.iter().map(|one| one.texts().join(" ")).collect());
    (lines, document.warnings.iter().map(told).collect())
}

#[track_caller]
fn gives(text: &str, expected: &[&str]) {
    let text = format!("openapi: 3.1.0\n{text}");
    assert_eq!(read(&text, None), (Ok(expected.iter().map(ToString::to_string).collect()), vec![]));
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = read(text, None).0.unwrap_err();
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn the_most_specific_path_comes_first() {
    gives(
        "paths:
  /users/{id}: { get: { operationId: GetUser }, delete: {} }
  /users/me: { get: { operationId: Me } }
  /users/{id}.json: { get: { operationId: Json } }
  /{other}/me: { get: { operationId: Other } }
  x-internal: true
",
        &[
            "GET /users/me Me",
            "GET /users/{id}.json Json",
            "GET /users/{id} GetUser",
            "DELETE /users/{id} DELETE /users/{id}",
            "GET /{other}/me Other",
        ],
    );
}

#[test]
fn documents_are_json_too() {
    gives(
        "paths: {\"/a\": {\"get\": {\"operationId\": \"${x}\", \"responses\": {200: {}, \"404\": {}}}}}",
        &["GET /a $${x}"],
    );
}

#[test]
fn what_is_no_method_is_no_operation() {
    gives(
        "paths:\n  /a: { summary: x, parameters: [], x-b: 1, post: { operationId: A } }\n  /b: ~\n",
        &["POST /a A"],
    );
}

#[test]
fn servers_stand_before_the_paths() {
    gives(
        "servers:
  - { url: 'https://api.example.com/v1/' }
  - { url: '/v2' }
  - { url: '//example.com' }
  - { url: 'https://{region}.example.com/{base}', variables: { region: { default: eu }, base: { enum: [v1, v3], default: v3 } } }
paths:
  /a: { get: { operationId: A } }
  /b:
    servers: [{ url: 'http://b.example.com/b?x#y' }]
    get: { operationId: B }
    put: { operationId: PutB, servers: [{ url: / }] }
  /c: { get: { operationId: C, servers: [] } }
",
        &[
            "GET /a A", "PUT /b PutB", "GET /c C", "GET /b/b B", "GET /v1/a A", "GET /v1/c C", "GET /v2/a A", "GET /v2/c C",
            "GET /v3/a A", "GET /v3/c C",
        ],
    );
    let (operations, _) =
        read("openapi: 3.0.0\nservers: [{ url: ignored }]\npaths: { /a: { get: {} } }\n", Some("/x"));
    assert_eq!(operations, Ok(vec!["GET /x/a GET /a".to_owned()]));
}

#[test]
fn documents_of_the_wild() {
    // Open data of a patent office: a server with a variable in its scheme.
    gives(
        "servers:
- url: '{scheme}://developer.uspto.gov/ds-api'
  variables: { scheme: { description: The protocol, enum: [https, http], default: https } }
paths:
  /: { get: { operationId: list-data-sets } }
  '/{dataset}/{version}/fields': { get: { operationId: list-searchable-fields } }
  '/{dataset}/{version}/records': { post: { operationId: perform-search } }
",
        &[
            "GET /ds-api/ list-data-sets",
            "GET /ds-api/{dataset}/{version}/fields list-searchable-fields",
            "POST /ds-api/{dataset}/{version}/records perform-search",
        ],
    );
    // The petstore, with all that is beside operations; code hosting, OData, methods behind a colon.
    gives(
        r#"servers: [{ url: /api/v3, description: x }]
webhooks: { new: { post: { operationId: sent } } }
paths:
  /pet/{petId}:
    summary: x
    parameters: [{ name: petId, in: path, required: true, schema: { type: integer } }]
    get: { tags: [pet], operationId: getPetById, responses: { 200: { description: ok }, default: {} }, security: [{ k: [] }] }
  /pet/findByStatus: { get: { operationId: findPetsByStatus } }
  /pet/{petId}/uploadImage: { post: { callbacks: { done: { '{$request.body#/u}': { post: { operationId: inner } } } } } }
  '/repos/{owner}/{repo}/compare/{base}...{head}': { get: { operationId: repos/compare-commits } }
  "/users('{id}')/report(period='{period}')": { get: { operationId: report } }
  '/v1/{name}:publish': { post: { operationId: publish } }
  '/v1/{a}.{b}': { get: { operationId: two } }
"#,
        &[
            "GET /api/v3/pet/findByStatus findPetsByStatus",
            "POST /api/v3/v1/{name}:publish publish",
            "GET /api/v3/v1/{a}.{b} two",
            "GET /api/v3/pet/{petId} getPetById",
            "POST /api/v3/pet/{petId}/uploadImage POST /pet/{petId}/uploadImage",
            "GET /api/v3/repos/{owner}/{repo}/compare/{base}...{head} repos/compare-commits",
            "GET /api/v3/users('{id}')/report(period='{period}') report",
        ],
    );
    // A local server: its port is no text.
    gives(
        "servers: [{ url: 'http://localhost:{port}/{base}', variables: { port: { enum: [8080, 8443] }, base: { default: 1 } } }]
paths: { /a: { get: { operationId: A } }, /b: { $ref: '#/components/pathItems/b' } }
components: { pathItems: { b: { get: { operationId: B } } } }
",
        &["GET /1/a A", "GET /1/b B"],
    );
}

#[test]
fn references_within_the_document_are_followed() {
    gives(
        "paths:
  /a: { $ref: '#/components/pathItems/a~1b' }
components: { pathItems: { a/b: { get: { operationId: A } } } }
",
        &["GET /a A"],
    );
    refused(
        "openapi: 3.1.0\npaths:\n  /a: { $ref: other.yaml#/a }\n",
        "3:15: `other.yaml#/a` is in another file; bundle",
    );
    refused("openapi: 3.1.0\npaths:\n  /a: { $ref: '#/b' }\n", "3:15: there is no `#/b`");
    refused("openapi: 3.1.0\npaths:\n  /a: { $ref: '#/paths/~1a' }\n", "3:7: references go round");
}

#[test]
fn operations_of_other_methods_are_read() {
    gives(
        "paths:
  /a:
    get: { operationId: GetA }
    query: { operationId: QueryA }
    additionalOperations:
      COPY: { operationId: CopyA, servers: [{ url: /x }] }
      Lock: {}
      x-mine: {}
  /b: { additionalOperations: ~, put: { operationId: PutB } }
",
        &[
            "GET /a GetA",
            "QUERY /a QueryA",
            "Lock /a Lock /a",
            "x-mine /a x-mine /a",
            "PUT /b PutB",
            "COPY /x/a CopyA",
        ],
    );
    let with =
        |others: &str| format!("openapi: 3.2.0\npaths: {{ /a: {{ additionalOperations: {others} }} }}");
    refused(&with("{ post: {} }"), "2:40: `post`: write this operation as `post`, outside of");
    refused(&with("{ GET: {} }"), "2:40: `GET`: write this operation as `get`, outside of");
    refused(&with("{ 'a b': {} }"), "2:40: `a b`: expected a method");
    refused(&with("[]"), "2:38: expected a mapping");
    refused(&with("{ COPY: 7 }"), "2:46: expected a mapping");
}

#[test]
fn what_stands_beside_a_reference_counts() {
    gives(
        "paths:
  /a:
    $ref: '#/components/pathItems/A'
    post: { operationId: PostA }
    servers: [{ url: /v9 }]
  /b: { $ref: '#/components/pathItems/B' }
components:
  pathItems:
    A: { get: { operationId: GetA }, servers: [{ url: /v1 }] }
    B: { $ref: '#/components/pathItems/C', put: { operationId: PutB } }
    C: { delete: { operationId: DeleteB }, additionalOperations: { COPY: { operationId: CopyB } }, servers: [{ url: /v2 }] }
",
        &["PUT /v2/b PutB", "DELETE /v2/b DeleteB", "COPY /v2/b CopyB", "POST /v9/a PostA", "GET /v9/a GetA"],
    );
    let (operations, warnings) = read(
        "openapi: 3.1.0
paths:
  /a:
    $ref: '#/components/pathItems/A'
    get: { operationId: Here }
components:
  pathItems:
    A: { get: { operationId: There }, put: { operationId: Put } }
",
        None,
    );
    assert_eq!(operations, Ok(vec!["GET /a Here".to_owned(), "PUT /a Put".to_owned()]));
    assert_eq!(warnings, ["8:10: `GET` is also in line 5, beside the `$ref` to this, and left out here"]);
}

#[test]
fn paths_that_differ_in_their_encoding_alone_are_one() {
    let (operations, warnings) = read(
        "openapi: 3.0.3
servers: [{ url: 'https://h/a%20b' }]
paths:
  /caf%C3%A9/{id}: { get: { operationId: One } }
  /caf\u{e9}/{x}: { get: { operationId: Two } }
",
        None,
    );
    assert_eq!(operations, Ok(vec!["GET /a%20b/caf%C3%A9/{id} One".to_owned()]));
    assert_eq!(
        warnings,
        ["5:16: `GET /a%20b/caf\u{e9}/{x}` has the same requests as line 4, and is left out"]
    );
}

#[test]
fn what_is_odd_is_warned_of() {
    let (operations, warnings) = read(
        "openapi: 3.0.3
paths:
  /a/{x}:
    get: { operationId: A }
  /a/{y}:
    get: { operationId: B }
    put: { operationId: A }
",
        None,
    );
    assert_eq!(operations, Ok(vec!["GET /a/{x} A".to_owned(), "PUT /a/{y} A".to_owned()]));
    assert_eq!(
        warnings,
        [
            "7:5: the operationId `A` is also that of line 4; the two will not be told apart",
            "6:5: `GET /a/{y}` has the same requests as line 4, and is left out",
        ]
    );
}

#[test]
fn mistakes_are_told_with_place_and_remedy() {
    refused("{}", "1:1: expected an OpenAPI 3 document");
    refused("swagger: '2.0'", "1:1: this is OpenAPI 2 (Swagger); convert it");
    refused("openapi: 4.0.0", "1:1: expected OpenAPI 3, found \"4.0.0\"");
    refused("openapi: 3.0.0", "1:1: there are no `paths`");
    refused("openapi: 3.1.0\nwebhooks: { a: { post: {} } }", "1:1: there are no `paths`; webhooks are");
    refused(
        "openapi: 3.0.0\npaths:\n  /#X-Amz-Target=A: { post: {} }",
        "3:3: `/#X-Amz-Target=A`: a path with `#`",
    );
    refused(
        "openapi: 3.0.0\npaths:\n  /{n=projects/*}:publish: { post: {} }",
        "3:3: `/{n=projects/*}:publish`: expected a name",
    );
    refused("openapi: 3.0\npaths: {}", "2:8: no path has an operation");
    refused("openapi: 3.0.0\npaths: []", "2:8: expected a mapping, found a list");
    refused("openapi: 3.0.0\npaths:\n  a: { get: {} }", "3:3: `a`: expected a path that begins with /");
    refused("openapi: 3.0.0\npaths:\n  /a/{b: { get: {} }", "3:3: `/a/{b`: expected a name and a }");
    refused("openapi: 3.0.0\npaths: { /a: 7 }", "2:14: expected a mapping, found a whole number");
    refused("openapi: 3.0.0\npaths: { /a: { get: [] } }", "2:21: expected a mapping, found a list");
    refused("openapi: 3.0.0\npaths: { /a: { get: { operationId: 7 } } }", "2:36: expected a text (in quotes");
    refused(
        "openapi: 3.0.0\npaths: { /a: { get: { operationId: '' } } }",
        "2:36: an operationId is not empty",
    );
    let with =
        |servers: &str| format!("openapi: 3.0.0\nservers: {servers}\npaths: {{ /a: {{ get: {{}} }} }}\n");
    refused(&with("{}"), "2:10: expected a list of servers");
    refused(&with("[{}]"), "2:11: the server has no `url`");
    refused(
        &with("[{ url: v1 }]"),
        "2:11: the URL `v1` is relative to where the document is served; give --base-path",
    );
    refused(&with("[{ url: '/{v}' }]"), "2:18: the variable `v` has no `default`");
    refused(&with("[{ url: '/{v' }]"), "2:18: expected a } behind");
    refused(
        &with("[{ url: '/{v}', variables: { v: { default: 1.10 } } }]"),
        "2:53: expected a text (in quotes",
    );
    let many = "{v}".repeat(10);
    let many = format!("[{{ url: /{many}, variables: {{ v: {{ enum: [a, b], default: a }} }} }}]")
        .replace("url: /", "url: '/")
        .replace("}, variables", "}', variables");
    refused(&with(&many), "2:18: the variables make more than 1000");
}

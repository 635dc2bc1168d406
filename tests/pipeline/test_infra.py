"""infra/ against the published schemas of Azure Resource Manager, and against the needs of the program and the host."""

import copy
import json
import re
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml
from referencing import Registry
from referencing.jsonschema import DRAFT4

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "tests/fixtures/schemas/arm"
BASE = "https://schema.management.azure.com/schemas"
TEMPLATE = json.loads((ROOT / "infra/main.json").read_text())
RESOURCES = TEMPLATE["resources"]
EXPRESSION = re.compile(r"\[(?!\[).*\]")


def schema(name):
    return json.loads((SCHEMAS / name).read_text())


def strict(node):
    """The schema with unknown properties as errors: as published, it accepts a misspelt property."""
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: strict(value) for key, value in node.items()}
    # An expression may also match the pattern of a name, so two alternatives may accept it.
    if "oneOf" in node:
        node["anyOf"] = node.pop("oneOf")
    if isinstance(node.get("properties"), dict):
        alternatives = [one for one in node.get("anyOf", []) if "properties" in one]
        for one in alternatives:
            one["properties"] = {**dict.fromkeys(node["properties"], {}), **one["properties"]}
        if not alternatives:
            node.setdefault("additionalProperties", False)
    return node


@cache
def provider(kind, version):
    """The schema of a provider's resource types, and the name of `kind` in it."""
    namespace, _, path = kind.partition("/")
    candidates = [f"{namespace}.{version}.json", f"{namespace}.Application.{version}.json"]
    return next(strict(schema(name)) for name in candidates if (SCHEMAS / name).exists()), path.replace("/", "_")


COMMON = DRAFT4.create_resource(schema("definitions.json"))
REGISTRY = Registry().with_resources([
    (f"{BASE}/common/definitions.json", COMMON), (f"{BASE}/common/definitions.json#", COMMON),
])
# Every resource may have these properties.
OF_EVERY_RESOURCE = {"condition", "copy", "dependsOn", "scope", "comments"}


def problems(resource):
    types, name = provider(resource["type"], resource["apiVersion"])
    own = {key: value for key, value in resource.items() if key not in OF_EVERY_RESOURCE}
    # The schema has rules for the last part of the name, which an expression may end with as a literal.
    literal = re.search(r"'/(\w+)'\)\]$", own["name"])
    own["name"] = f"checked/{literal[1]}" if literal else "checked"
    document = {**types, "$ref": f"#/resourceDefinitions/{name}"}
    errors = jsonschema.Draft4Validator(document, registry=REGISTRY).iter_errors(own)
    best = [jsonschema.exceptions.best_match([error]) for error in errors]
    return [f"{resource['type']}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in best]


def of(kind):
    return [resource for resource in RESOURCES if resource["type"] == kind]


def expressions(node):
    if isinstance(node, dict):
        for key, value in node.items():
            yield from expressions(key)
            yield from expressions(value)
    elif isinstance(node, list):
        for item in node:
            yield from expressions(item)
    elif isinstance(node, str) and EXPRESSION.fullmatch(node):
        yield node


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource["type"] + resource["name"][-12:])
def test_a_resource_is_what_its_schema_allows(resource):
    assert problems(resource) == []


def test_the_template_as_a_whole_is_what_its_schema_allows():
    whole = schema("deploymentTemplate.json")
    # The test above checks each resource; here their schemas would be read from the internet.
    whole["properties"]["resources"] = {"type": "array", "minItems": 1}
    jsonschema.Draft4Validator(strict(whole), registry=REGISTRY).validate(TEMPLATE)


@pytest.mark.parametrize("spoil", [
    lambda r: r["properties"].update(minimumTLSversion="TLS1_2"),
    lambda r: r["properties"].update(minimumTlsVersion="TLS9"),
    lambda r: r["properties"].update(allowBlobPublicAccess="no"),
    lambda r: r["sku"].update(name="Cheap"),
    lambda r: r.update(knd="StorageV2"),
])
def test_the_schema_refuses_a_typing_error(spoil):
    spoiled = copy.deepcopy(of("Microsoft.Storage/storageAccounts")[0])
    spoil(spoiled)
    assert problems(spoiled) != []


def test_expressions_use_exactly_the_parameters_and_variables_of_the_template():
    used = "\n".join(expressions(TEMPLATE))
    for section in ["parameters", "variables"]:
        assert set(re.findall(rf"\b{section}\('(\w+)'\)", used)) == set(TEMPLATE[section]), section
    for expression in expressions(TEMPLATE):
        bare = re.sub(r"'(?:[^']|'')*'", "", expression)
        assert bare.count("(") == bare.count(")") and bare.count("[") == bare.count("]"), expression


@cache
def known_functions():
    return {
        "concat", "copyIndex", "createArray", "createObject", "empty", "environment", "equals", "guid", "if", "length", "not",
        "null", "or", "parameters", "reference", "resourceGroup", "resourceId", "subscription", "subscriptionResourceId",
        "true", "variables",
    }


def test_expressions_call_only_functions_of_resource_manager():
    for expression in expressions(TEMPLATE):
        bare = re.sub(r"'(?:[^']|'')*'", "", expression)
        assert set(re.findall(r"(\w+)\(", bare)) <= known_functions(), expression


def test_a_resource_waits_for_the_resources_that_it_needs():
    """A child waits for its parent, and a resource waits for the resources that its expressions name."""
    for resource in RESOURCES:
        waits = " ".join(resource.get("dependsOn", []))
        parent, _, child = resource["type"].rpartition("/")
        if parent.count("/"):
            variable = "variables('storageId')" if parent == "Microsoft.Storage/storageAccounts" else None
            # The storage policies wait for the blob service, which waits for the account.
            assert (variable and variable in waits) or f"'{parent}" in waits, resource["type"] + " does not wait"
        text = json.dumps({key: value for key, value in resource.items() if key not in ("dependsOn", "name")})
        for needed in ["identityId", "insightsId"]:
            if f"variables('{needed}')" in text and not child == "slots":
                assert f"variables('{needed}')" in waits, f"{resource['type']} does not wait for {needed}"


def test_deploying_twice_changes_nothing():
    """Names depend only on the parameters: none is random, and none contains the time."""
    everything = json.dumps(TEMPLATE)
    for changing in ["newGuid", "utcNow", "uniqueString", "deployment()"]:
        assert changing not in everything
    for assignment in of("Microsoft.Authorization/roleAssignments"):
        assert assignment["name"].startswith("[guid(") and "variables('identityId')" in assignment["name"]
    # The pipeline's settings and package survive.
    for app in of("Microsoft.Web/sites") + of("Microsoft.Web/sites/slots"):
        assert "appSettings" not in json.dumps(app)
    assert not of("Microsoft.Web/sites/config")


def test_tables_and_queues_are_those_of_the_program():
    variables = TEMPLATE["variables"]
    queue = json.loads((ROOT / "functions/deliverDueConversations/function.json").read_text())["bindings"][0]["queueName"]
    assert variables["queues"] == [queue, f"{queue}-poison"]
    source = (ROOT / "src/store/azure/mod.rs").read_text()
    for name in [*variables["tables"], queue]:
        assert f'"{name}"' in source, name


def test_the_identity_has_only_the_roles_that_it_needs():
    roles = [(role["name"], role["id"]) for role in TEMPLATE["variables"]["storageRoles"]]
    # Ids of Azure's built-in roles, which are the same everywhere.
    assert roles == [
        ("Storage Table Data Contributor", "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3"),
        ("Storage Queue Data Contributor", "974c5e8b-45b9-4653-ba55-5f855dd0fb88"),
        ("Storage Blob Data Owner", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"),
    ]
    assert TEMPLATE["variables"]["secretsUser"] == "4633458b-17de-408a-b874-0445c86b69e6"
    # Each role is limited to one account or one vault.
    scopes = [assignment["scope"] for assignment in of("Microsoft.Authorization/roleAssignments")]
    assert [scope.split("'")[1] for scope in scopes] == ["Microsoft.Storage/storageAccounts/", "Microsoft.KeyVault/vaults/"]


def test_keys_are_off_where_the_plan_can_do_without():
    account, = of("Microsoft.Storage/storageAccounts")
    properties = account["properties"]
    assert properties["allowSharedKeyAccess"] == "[not(parameters('flexConsumption'))]"
    assert (properties["minimumTlsVersion"], properties["allowBlobPublicAccess"]) == ("TLS1_2", False)
    vault, = of("Microsoft.KeyVault/vaults")
    assert vault["properties"]["enableRbacAuthorization"] is True and "accessPolicies" not in vault["properties"]
    app, = of("Microsoft.Web/sites")
    assert app["properties"]["httpsOnly"] is True
    policies = of("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    assert [policy["properties"]["allow"] for policy in policies] == [False, False]


def test_the_plan_is_a_parameter_and_only_classic_consumption_has_a_slot():
    assert TEMPLATE["parameters"]["flexConsumption"]["defaultValue"] is True
    slot, = of("Microsoft.Web/sites/slots")
    assert slot["condition"] == "[not(parameters('flexConsumption'))]" and "functionAppConfig" not in slot["properties"]
    app, = of("Microsoft.Web/sites")
    assert app["properties"]["functionAppConfig"] == "[if(parameters('flexConsumption'), variables('flexConfig'), null())]"
    # The check of the resource does not see an object in a variable.
    types, _ = provider("Microsoft.Web/sites", "2024-11-01")
    config = {**types, "$ref": "#/definitions/FunctionAppConfig"}
    jsonschema.Draft4Validator(config, registry=REGISTRY).validate(TEMPLATE["variables"]["flexConfig"])
    assert slot["properties"]["siteConfig"] == app["properties"]["siteConfig"]


def parameter_file(environment):
    return json.loads((ROOT / f"infra/{environment}.parameters.json").read_text())["parameters"]


NAMES = yaml.safe_load((ROOT / "infra/names.yml").read_text())["variables"]
# The parameters that scripts/provision itself gives.
GIVEN = {"appName", "keyVaultName", "storageAccountName", "flexConsumption", "sweepExpected"}


def fits(rule, value):
    kinds = {"string": str, "int": int, "bool": bool}
    within = rule["type"] != "string" or rule.get("minLength", 0) <= len(value) <= rule.get("maxLength", 999)
    return isinstance(value, kinds[rule["type"]]) and value in rule.get("allowedValues", [value]) and within


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_parameter_files_and_the_names_fit_the_template(environment):
    declared, given = TEMPLATE["parameters"], parameter_file(environment)
    assert set(given) <= set(declared) - GIVEN, "scripts/provision replaces it"
    assert {name for name, rule in declared.items() if "defaultValue" not in rule} <= set(given) | GIVEN
    for name, entry in given.items():
        assert fits(declared[name], entry["value"]), name
    suffix = "Dev" if environment == "dev" else ""
    for name in ["appName", "keyVaultName", "storageAccountName"]:
        assert fits(declared[name], NAMES[name + suffix]), name
    assert re.fullmatch("[a-z0-9]{3,24}", NAMES[f"storageAccountName{suffix}"])


def test_only_the_vault_of_dev_can_be_destroyed_at_once():
    vault, = of("Microsoft.KeyVault/vaults")
    # Key Vault refuses the value false.
    assert vault["properties"]["enablePurgeProtection"] == "[if(parameters('vaultPurgeProtection'), true(), null())]"
    assert vault["properties"]["enableSoftDelete"] is True
    assert TEMPLATE["parameters"]["vaultPurgeProtection"]["defaultValue"] is True
    protected = {environment: parameter_file(environment)["vaultPurgeProtection"]["value"] for environment in ["dev", "prod"]}
    assert protected == {"dev": False, "prod": True}


def test_the_mail_address_of_the_alerts_is_kept_in_a_file():
    """A value on the command line is lost with the next run, and with it the mails."""
    for environment in ["dev", "prod"]:
        assert "alertEmail" in parameter_file(environment)


def alerts():
    return {alert["name"]: alert for alert in TEMPLATE["variables"]["alerts"]}


def test_there_is_an_alert_for_each_promise():
    assert list(alerts()) == [
        "server-errors", "response-time", "failed-authentications",
        "lateness", "oldest-overdue", "poison", "sweep-not-running",
    ]
    for alert in alerts().values():
        assert set(alert) == {"name", "description", "severity", "window", "query", "operator", "threshold"}
        assert re.match(r"(requests|traces|customMetrics) \| .* \| summarize value = ", alert["query"])
        assert alert["operator"] in ("GreaterThan", "LessThan")


def test_only_the_alert_on_missing_sweeps_waits_for_the_first_deployment():
    """A sum over no telemetry is zero, so no other alert fires while nothing runs."""
    rule, = of("Microsoft.Insights/scheduledQueryRules")
    name = "variables('alerts')[copyIndex()].name"
    assert rule["properties"]["enabled"] == f"[or(parameters('sweepExpected'), not(equals({name}, 'sweep-not-running')))]"
    assert TEMPLATE["parameters"]["sweepExpected"]["defaultValue"] is True
    assert [alert["name"] for alert in alerts().values() if alert["operator"] == "LessThan"] == ["sweep-not-running"]


def test_alerts_read_figures_by_the_names_of_metrics():
    """The Rust tests of the functions host hold the members of the lines that deliverDueConversations and sweepDueConversations log."""
    metrics = (ROOT / "docs/metrics.md").read_text()
    for name, metric in [
        ("lateness", "scheduler.delivery.lateness"),
        ("oldest-overdue", "scheduler.sweep.overdue"),
        ("poison", "scheduler.poison_queue.length"),
    ]:
        assert f"parse_json(message)['{metric}']" in alerts()[name]["query"]
        assert f"| `{metric}` |" in metrics
    for alert in alerts().values():
        assert "extract(" not in alert["query"] and "contains" not in alert["query"]


def test_the_metric_of_the_sweep_is_kept_by_the_host():
    levels = json.loads((ROOT / "host.json").read_text())["logging"]["logLevel"]
    assert levels["Host.Aggregator"] == "Information"
    assert (ROOT / "functions/sweepDueConversations/function.json").exists()

use serde_json::json;

use super::*;

fn claims(claims: Value) -> Claims {
    let Value::Object(claims) = claims else { panic!("{claims} is no object") };
    Claims::new(claims)
}

fn rules(mappings: Value) -> ClaimRules {
    let mappings = serde_json::from_value(mappings).expect("mappings");
    ClaimRules { mappings, ..ClaimRules::default() }
}

fn grant(grant: Value) -> Grant {
    serde_json::from_value(grant).expect("a grant")
}

fn analyst(organization_id: &str) -> Grant {
    let over =
        json!({ "role": "analyst", "over": "organization", "organization_id": organization_id });
    grant(over)
}

/// What a mapping of `claim` to `value` gives to whom the provider says this of.
fn maps(claim: &str, value: &str, said: Value) -> bool {
    let mapping = json!([{
        "claim": claim, "value": value, "role": "analyst", "over": "organization",
        "organization_id": "o",
    }]);
    let said = claims(said);
    match rules(mapping).grants_of_person(&said) {
        Ok(grants) => {
            assert_eq!(grants, [analyst("o")]);
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Forbidden);
            false
        }
    }
}

#[test]
fn a_mapping_fits_what_a_claim_is_or_lists_exactly() {
    for (claim, value, said, fits) in [
        ("groups", "finance", json!({ "groups": ["a", "finance"] }), true),
        ("groups", "finance", json!({ "groups": "finance" }), true),
        ("groups", "finance", json!({ "groups": ["finance-team"] }), false),
        ("groups", "finance", json!({ "groups": ["Finance"] }), false),
        ("groups", "finance", json!({ "groups": "a finance b" }), false),
        ("groups", "finance", json!({ "groups": { "finance": true } }), false),
        ("groups", "finance", json!({ "groups": [["finance"]] }), false),
        ("groups", "finance", json!({ "roles": ["finance"] }), false),
        ("groups", "finance", json!({ "groups": null }), false),
        // A scope is a list of words; another claim with words in it is not.
        ("scope", "reports", json!({ "scope": "openid reports" }), true),
        ("scp", "reports", json!({ "scp": ["reports"] }), true),
        ("scope", "openid reports", json!({ "scope": "openid reports" }), false),
        // Nested claims, and a name that has dots itself.
        ("realm_access.roles", "r", json!({ "realm_access": { "roles": ["r"] } }), true),
        ("a.b.c", "r", json!({ "a": { "b": { "c": "r" } } }), true),
        ("a.b.c", "r", json!({ "a": { "b": "r" } }), false),
        ("https://acme.example/roles", "r", json!({ "https://acme.example/roles": ["r"] }), true),
        // Numbers and truth values, as they are written.
        ("level", "7", json!({ "level": 7 }), true),
        ("admin", "true", json!({ "admin": true }), true),
        ("admin", "true", json!({ "admin": false }), false),
        // An address counts only when it is verified.
        ("email", "a@b.c", json!({ "email": "a@b.c", "email_verified": true }), true),
        ("email", "a@b.c", json!({ "email": "a@b.c", "email_verified": "true" }), true),
        ("email", "a@b.c", json!({ "email": "a@b.c", "email_verified": false }), false),
        ("email", "a@b.c", json!({ "email": "a@b.c", "email_verified": 1 }), false),
        ("email", "a@b.c", json!({ "email": "a@b.c" }), false),
    ] {
        assert_eq!(maps(claim, value, said.clone()), fits, "{claim} = {value}: {said}");
    }
}

#[test]
fn every_mapping_that_fits_gives_its_grant_once() {
    let mappings = json!([
        { "claim": "g", "value": "a", "role": "analyst", "over": "organization", "organization_id": "o" },
        { "claim": "g", "value": "b", "role": "analyst", "over": "organization", "organization_id": "o" },
        { "claim": "g", "value": "b", "role": "team_lead", "over": "team", "organization_id": "o", "team_id": "t" },
        { "claim": "g", "value": "c", "role": "super_admin", "over": "platform" },
    ]);
    let grants = rules(mappings).grants_of_machine(&claims(json!({ "g": ["a", "b"] })));
    let lead =
        json!({ "role": "team_lead", "over": "team", "organization_id": "o", "team_id": "t" });
    assert_eq!(grants.expect("grants"), [grant(lead), analyst("o")]);
}

#[test]
fn ids_can_come_from_claims() {
    let mappings = json!([{
        "claim": "org", "role": "member", "over": "user", "organization_id": "${org}",
        "user_id": "${email}",
    }]);
    let rules = rules(mappings);
    let said = |email: Value| claims(json!({ "org": "o", "email": email, "email_verified": true }));
    let member =
        json!({ "role": "member", "over": "user", "organization_id": "o", "user_id": "a@b.c" });
    assert_eq!(rules.grants_of_person(&said(json!("a@b.c"))).expect("one"), [grant(member)]);
    // Nothing, something empty or several values make no id.
    for odd in [json!(null), json!(""), json!(["a", "b"]), json!([])] {
        assert!(rules.grants_of_person(&said(odd)).is_err());
    }
    let unverified = claims(json!({ "org": "o", "email": "a@b.c" }));
    assert!(rules.grants_of_person(&unverified).is_err());
}

#[test]
fn a_grant_that_does_not_fit_its_role_or_has_an_odd_id_is_no_mapping() {
    let parse = |grant: Value| {
        let mut mapping = grant;
        mapping["claim"] = json!("g");
        serde_json::from_value::<Mapping>(mapping).map_err(|error| error.to_string())
    };
    let organization =
        |id: &str| json!({ "role": "analyst", "over": "organization", "organization_id": id });
    assert!(parse(organization("${org}")).is_ok());
    for id in ["", "${}", "x${org}", "${org}x"] {
        let error = parse(organization(id)).expect_err(id);
        assert!(error.contains("can never be one"), "{error}");
    }
    let unfit = json!({ "role": "super_admin", "over": "organization", "organization_id": "o" });
    assert!(parse(unfit).expect_err("refused").contains("held over the platform"));
    assert!(parse(json!({ "role": "analyst" })).is_err(), "over what is not said");
    let unknown = json!({ "role": "analyst", "over": "platform", "team": "t" });
    assert!(parse(unknown).is_err(), "a field that nothing reads");
}

#[test]
fn somebody_whom_nothing_is_mapped_to_is_told_who_can_do_it() {
    let error = ClaimRules::default().grants_of_person(&claims(json!({ "sub": "ada" })));
    let error = error.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    let text = error.to_string();
    assert!(text.contains("\"ada\"") && text.contains("administrator of Spendlake"), "{text}");
    assert!(text.contains("oidc_mappings_file"), "{text}");
}

#[test]
fn defaults_are_for_people_to_whom_nothing_else_is_mapped() {
    let default = json!([{ "role": "analyst", "over": "organization", "organization_id": "d" }]);
    let mut rules = rules(json!([{
        "claim": "g", "value": "x", "role": "analyst", "over": "organization", "organization_id": "o",
    }]));
    rules.defaults = serde_json::from_value(default).expect("defaults");
    let (mapped, other) = (claims(json!({ "g": "x" })), claims(json!({ "g": "y" })));
    assert_eq!(rules.grants_of_person(&mapped).expect("grants"), [analyst("o")]);
    assert_eq!(rules.grants_of_person(&other).expect("grants"), [analyst("d")]);
    assert!(rules.grants_of_machine(&other).is_err(), "a machine gets no default");
}

#[test]
fn the_providers_own_grants_count_only_where_it_is_trusted() {
    let grants = json!([{ "role": "analyst", "over": "organization", "organization_id": "o" }]);
    let said = claims(json!({ "x": { "grants": grants }, "text": grants.to_string() }));
    let of = |claim: Option<&str>| {
        let grants_claim = claim.map(str::to_owned);
        ClaimRules { grants_claim, ..ClaimRules::default() }.grants_of_person(&said)
    };
    assert!(of(None).is_err());
    assert_eq!(of(Some("x.grants")).expect("grants"), [analyst("o")]);
    assert_eq!(of(Some("text")).expect("grants"), [analyst("o")]);
    assert!(of(Some("absent")).is_err());
}

#[test]
fn one_unreadable_grant_refuses_all_of_them() {
    let rules = ClaimRules { grants_claim: Some("grants".to_owned()), ..ClaimRules::default() };
    let good = json!({ "role": "analyst", "over": "platform" });
    for odd in [
        json!([good, { "role": "emperor", "over": "platform" }]),
        json!([good, { "role": "super_admin", "over": "team", "organization_id": "o", "team_id": "t" }]),
        json!({ "role": "analyst" }),
        json!("analyst"),
        json!(null),
    ] {
        let error =
            rules.grants_of_machine(&claims(json!({ "grants": odd }))).expect_err("refused");
        assert!(error.to_string().contains("is not a list of grants"), "{error}");
    }
}

#[test]
fn only_verified_addresses_of_the_allowed_domains_log_in() {
    let mut rules = rules(json!([{ "claim": "sub", "role": "analyst", "over": "platform" }]));
    rules.domains = vec!["example.com".to_owned()];
    let of = |email: &str, verified: bool| {
        let said = json!({ "sub": "s", "email": email, "email_verified": verified });
        rules.grants_of_person(&claims(said)).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(of("ada@example.com", true), Ok(()));
    assert_eq!(of("ada@EXAMPLE.com", true), Ok(()));
    let unverified = of("ada@example.com", false).expect_err("refused");
    assert!(unverified.contains("no verified e-mail address"), "{unverified}");
    for foreign in ["ada@example.org", "ada@sub.example.com", "example.com", "a@example.com@x.y"] {
        let error = of(foreign, true).expect_err(foreign);
        assert!(error.contains("not of a domain that is allowed"), "{error}");
    }
    assert!(rules.grants_of_person(&claims(json!({ "sub": "s" }))).is_err());
    let machine = claims(json!({ "sub": "s" }));
    assert!(rules.grants_of_machine(&machine).is_ok(), "machines have no address");
}

#[test]
fn too_many_grants_are_refused() {
    let rules = ClaimRules { grants_claim: Some("grants".to_owned()), ..ClaimRules::default() };
    let grants = |count: usize| {
        let one = |id| json!({ "role": "analyst", "over": "organization", "organization_id": id });
        claims(json!({ "grants": (0..count).map(|n| one(n.to_string())).collect::<Vec<_>>() }))
    };
    assert_eq!(rules.grants_of_machine(&grants(GRANTS_MAX)).expect("grants").len(), GRANTS_MAX);
    let error = rules.grants_of_machine(&grants(GRANTS_MAX + 1)).expect_err("refused");
    assert!(error.to_string().contains("201 roles"), "{error}");
}

#[test]
fn scopes_of_ours_narrow_and_others_do_not() {
    let of = |scope: Value| claims(json!({ "scope": scope })).permissions();
    assert_eq!(of(json!("openid profile")), Permissions::ALL);
    assert_eq!(of(json!("openid usage:read")), Permissions::of(&[Permission::ReadUsage]));
    let both = Permissions::of(&[Permission::ReadUsage, Permission::RunSql]);
    assert_eq!(of(json!(["sql:read", "usage:read"])), both);
}

#[test]
fn a_name_is_what_a_person_would_read() {
    let name = |said: Value| claims(said).display_name().map(str::to_owned);
    assert_eq!(name(json!({ "name": "Ada", "email": "a@b.c" })).as_deref(), Some("Ada"));
    assert_eq!(name(json!({ "name": " ", "preferred_username": "ada" })).as_deref(), Some("ada"));
    assert_eq!(name(json!({ "email": "a@b.c" })), None);
}

#[test]
fn what_is_said_elsewhere_never_changes_what_the_token_says() {
    let mut said = claims(json!({ "sub": "ada", "email": "ada@b.c" }));
    let Value::Object(others) = json!({
        "sub": "eve", "groups": ["finance"], "email": "eve@b.c", "email_verified": true,
    }) else {
        panic!("an object")
    };
    said.complete(others.clone());
    assert_eq!(said, claims(json!({ "sub": "ada", "email": "ada@b.c", "groups": ["finance"] })));
    assert_eq!(said.verified_email(), None, "another address was verified");
    let mut bare = claims(json!({ "sub": "eve" }));
    bare.complete(others);
    assert_eq!(bare.verified_email(), Some("eve@b.c"));
}

#[test]
fn an_organization_is_named_as_the_tables_name_it() {
    let usual = "0190a3c2-7b1e-7c00-8000-000000000001";
    let shouted = usual.to_uppercase();
    let mut rules = rules(json!([
        { "claim": "groups", "role": "analyst", "over": "organization", "organization_id": shouted },
        { "claim": "tenant", "role": "ingest", "over": "organization", "organization_id": "${tenant}" },
    ]));
    rules.grants_claim = Some("grants".to_owned());
    let trusted = json!([{ "role": "organization_admin", "over": "organization", "organization_id": shouted }]);
    let said = claims(json!({ "groups": "any", "tenant": shouted, "grants": trusted }));
    let grants = rules.grants_of_person(&said).expect("grants");
    assert_eq!(grants.len(), 3);
    for grant in grants {
        assert_eq!(grant.domain().organization_id(), Some(usual), "{grant:?}");
    }
}

use super::*;
use crate::access::{Permission, SCRAM_ITERATIONS};
use crate::directory::CredentialUse;

#[tokio::test]
async fn a_token_opens_what_its_grants_say() {
    let world = World::new().await;
    let made = world.token(grant(Role::Analyst, over(ACME))).await;
    let principal = world.admits(&made.secret).await.expect("admitted");
    assert_eq!((principal.id(), principal.name()), (made.token.id.as_str(), "token"));
    assert_eq!(principal.origin(), Origin::Token);
    assert!(principal.may_in(Permission::RunSql, ACME));
    assert!(!principal.may_in(Permission::RunSql, BETA));
}

#[tokio::test]
async fn every_refusal_says_the_same_but_for_a_mistyped_token() {
    let world = World::new().await;
    let made = world.token(grant(Role::Analyst, over(ACME))).await;
    let other = World::new().await;
    other.door.randomness.bytes::<1>().expect("another place in the sequence");
    let foreign = other.token(grant(Role::Analyst, over(ACME))).await;
    let expired = TokenRequest {
        expires_at: Some(world.now() + TimeDelta::hours(1)),
        ..request("short", grant(Role::Analyst, over(ACME)))
    };
    let operator = Principal::operator();
    let expired = world.door.create_token(&operator, expired).await.expect("a token");
    world.door.revoke_token(&operator, &made.token.id).await.expect("revoked");
    world.wait(TimeDelta::hours(1));
    let secrets = [&made.secret, &foreign.secret, &expired.secret, "something else"];
    for secret in secrets.map(str::to_owned) {
        let error = assert_kind(world.admits(&secret).await, ErrorKind::Unauthenticated);
        let message = "the credential is not known, has expired or was revoked";
        assert_eq!(error.to_string(), message, "{secret}");
    }
    let mistyped = made.secret.replace("slk_", "slk_x");
    let error = assert_kind(world.admits(&mistyped).await, ErrorKind::Unauthenticated);
    assert!(error.to_string().contains("checksum does not fit"), "{error}");
}

#[tokio::test]
async fn a_token_of_a_known_id_with_another_secret_is_refused() {
    let world = World::new().await;
    let made = world.token(super_admin()).await;
    let other = world.token(super_admin()).await;
    let secret = other.secret.split('_').nth(2).expect("a secret");
    let body = format!("slk_{}_{secret}", made.token.id);
    let forged = format!("{body}_{}", crate::access::token::checksum(&body));
    assert_kind(world.admits(&forged).await, ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn nothing_is_stored_that_opens_anything() {
    let world = World::new().await;
    let made = world.token(super_admin()).await;
    world.store.close().await;
    let secret = made.secret.split('_').nth(2).expect("a secret").as_bytes();
    let mut files = 0;
    for file in std::fs::read_dir(&world.config.data_dir).expect("a folder") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("readable");
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        files += 1;
    }
    assert!(files > 0);
}

#[tokio::test]
async fn a_token_expires_at_its_instant_and_not_before() {
    let world = World::new().await;
    let expires_at = Some(world.now() + TimeDelta::seconds(10));
    let request = TokenRequest { expires_at, ..request("short", super_admin()) };
    let made = world.door.create_token(&Principal::operator(), request).await.expect("a token");
    world.wait(TimeDelta::seconds(10) - TimeDelta::microseconds(1));
    world.admits(&made.secret).await.expect("admitted");
    world.wait(TimeDelta::microseconds(1));
    assert_kind(world.admits(&made.secret).await, ErrorKind::Unauthenticated);
    let view = world.door.token(&Principal::operator(), &made.token.id).expect("seen");
    assert_eq!(view.state, "expired");
}

#[tokio::test]
async fn a_rotated_token_is_taken_until_the_overlap_ends() {
    let world = World::new().await;
    let old = world.token(grant(Role::Analyst, over(ACME))).await;
    let operator = Principal::operator();
    let new = world.door.rotate_token(&operator, &old.token.id, 60).await.expect("rotated");
    assert_ne!(new.token.id, old.token.id);
    let (one, other) = (world.admits(&old.secret).await, world.admits(&new.secret).await);
    assert_eq!(one.expect("old").grants(), other.expect("new").grants());
    assert_kind(world.door.rotate_token(&operator, &old.token.id, 60).await, ErrorKind::Invalid);
    world.wait(TimeDelta::seconds(60));
    assert_kind(world.admits(&old.secret).await, ErrorKind::Unauthenticated);
    world.admits(&new.secret).await.expect("the new one goes on");
    let at_once = world.door.rotate_token(&operator, &new.token.id, 0).await.expect("rotated");
    assert_kind(world.admits(&new.secret).await, ErrorKind::Unauthenticated);
    world.admits(&at_once.secret).await.expect("the newest one");
    let much = world.door.rotate_token(&operator, &at_once.token.id, 2_592_001).await;
    assert_kind(much, ErrorKind::Invalid);
}

#[tokio::test]
async fn a_rotated_token_lasts_as_long_as_the_old_one_was_to_last() {
    let world = World::new().await;
    let expires_at = Some(world.now() + TimeDelta::days(90));
    let request = TokenRequest { expires_at, ..request("quarter", super_admin()) };
    let operator = Principal::operator();
    let old = world.door.create_token(&operator, request).await.expect("a token");
    world.wait(TimeDelta::days(80));
    let new = world.door.rotate_token(&operator, &old.token.id, 60).await.expect("rotated");
    assert_eq!(new.token.expires_at, Some(world.now() + TimeDelta::days(90)));
}

#[tokio::test]
async fn a_token_that_rotates_itself_ends_when_it_was_to_end() {
    let world = World::new().await;
    let expires_at = Some(world.now() + TimeDelta::days(90));
    let request = TokenRequest { expires_at, ..request("quarter", super_admin()) };
    let old = world.door.create_token(&Principal::operator(), request).await.expect("a token");
    world.wait(TimeDelta::days(80));
    let itself = world.admits(&old.secret).await.expect("admitted");
    let new = world.door.rotate_token(&itself, &old.token.id, 60).await.expect("rotated");
    assert_eq!(new.token.expires_at, expires_at);
}

#[tokio::test]
async fn rotating_makes_no_more_tokens_than_one_may_have() {
    let world = World::new().await;
    let account = world.account("ada@example.com", grant(Role::Analyst, over(ACME))).await;
    let ada = world.person(&account.id);
    let own = || request("own", grant(Role::Analyst, over(ACME)));
    let mut last = world.door.create_token(&ada, own()).await.expect("a token").token.id;
    for _ in 1..100 {
        last = world.door.create_token(&ada, own()).await.expect("a token").token.id;
    }
    let one_more = world.door.create_token(&ada, own()).await;
    assert_kind(one_more, ErrorKind::LimitExceeded);
    let overlapping = world.door.rotate_token(&ada, &last, 60).await;
    assert_kind(overlapping, ErrorKind::LimitExceeded);
    let next = world.door.rotate_token(&ada, &last, 0).await.expect("the old one made room");
    world.door.revoke_token(&ada, &next.token.id).await.expect("revoked");
    world.door.create_token(&ada, own()).await.expect("what was revoked takes no room");
}

#[tokio::test]
async fn nobody_makes_a_token_of_more_than_it_holds() {
    let world = World::new().await;
    let admin = world.token(grant(Role::OrganizationAdmin, over(ACME))).await;
    let admin = world.admits(&admin.secret).await.expect("admitted");
    let analyst = world.token(grant(Role::Analyst, over(ACME))).await;
    let analyst = world.admits(&analyst.secret).await.expect("admitted");
    let before = world.door.tokens(&Principal::operator()).expect("tokens").len();
    for (caller, given) in [
        (&admin, super_admin()),
        (&admin, grant(Role::Analyst, over(BETA))),
        (&admin, grant(Role::Ingest, Domain::Platform)),
        (&analyst, grant(Role::OrganizationAdmin, over(ACME))),
        (&analyst, grant(Role::Ingest, over(ACME))),
    ] {
        let made = world.door.create_token(caller, request("more", given)).await;
        assert_kind(made, ErrorKind::Forbidden);
    }
    assert_eq!(world.door.tokens(&Principal::operator()).expect("tokens").len(), before);
    world
        .door
        .create_token(&admin, request("ok", grant(Role::Ingest, over(ACME))))
        .await
        .expect("ok");
}

#[tokio::test]
async fn a_token_gives_on_no_scope_that_it_lacks() {
    let world = World::new().await;
    let narrow = TokenRequest {
        scopes: Some(vec![Permission::ReadUsage]),
        ..request("narrow", grant(Role::Analyst, over(ACME)))
    };
    let operator = Principal::operator();
    let narrow = world.door.create_token(&operator, narrow).await.expect("a token");
    let narrow = world.admits(&narrow.secret).await.expect("admitted");
    let child = request("child", grant(Role::Analyst, over(ACME)));
    let child = world.door.create_token(&narrow, child).await.expect("a token");
    let child = world.admits(&child.secret).await.expect("admitted");
    assert!(child.may(Permission::ReadUsage) && !child.may(Permission::RunSql));
    let wide = TokenRequest {
        scopes: Some(vec![Permission::RunSql]),
        ..request("wide", grant(Role::Analyst, over(ACME)))
    };
    assert_kind(world.door.create_token(&narrow, wide).await, ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_token_has_no_role_that_its_scopes_empty_and_one_place_only() {
    let world = World::new().await;
    let operator = Principal::operator();
    let with = |grants: [Grant; 2], scopes| TokenRequest {
        grants: grants.to_vec(),
        scopes,
        ..request("several", super_admin())
    };
    let (reads, writes) = (grant(Role::Analyst, over(ACME)), grant(Role::Ingest, over(ACME)));
    let emptied = with([reads.clone(), writes.clone()], Some(vec![Permission::RunSql]));
    let error = assert_kind(world.door.create_token(&operator, emptied).await, ErrorKind::Invalid);
    assert!(error.to_string().contains("leave nothing of what ingest over"), "{error}");
    for other in [grant(Role::Analyst, over(BETA)), grant(Role::Analyst, Domain::Platform)] {
        let made = world.door.create_token(&operator, with([reads.clone(), other], None)).await;
        assert_kind(made, ErrorKind::Invalid);
    }
    world.door.create_token(&operator, with([reads, writes], None)).await.expect("one place");
}

#[tokio::test]
async fn a_token_of_ones_own_ends_and_shrinks_with_its_owner() {
    let world = World::new().await;
    let account = world.account("ada@example.com", grant(Role::Analyst, over(ACME))).await;
    let ada = world.person(&account.id);
    let own = request("own", grant(Role::Analyst, over(ACME)));
    let own = world.door.create_token(&ada, own).await.expect("a token");
    assert_eq!(own.token.owner.as_deref(), Some(account.id.as_str()));
    assert!(world.admits(&own.secret).await.expect("admitted").may(Permission::RunSql));
    let operator = Principal::operator();
    let change = |change| world.door.change_account(&operator, &account.id, change);
    let team = Domain::Team { organization_id: ACME.to_owned(), team_id: "core".to_owned() };
    let lead = Some(vec![grant(Role::TeamLead, team)]);
    let less = crate::access::AccountChange { grants: lead, ..Default::default() };
    change(less).await.expect("changed");
    assert!(!world.admits(&own.secret).await.expect("admitted").may(Permission::ReadUsage));
    let disabled = crate::access::AccountChange { disabled: Some(true), ..Default::default() };
    change(disabled).await.expect("changed");
    assert_kind(world.admits(&own.secret).await, ErrorKind::Unauthenticated);
    world.door.delete_account(&operator, &account.id).await.expect("deleted");
    assert_eq!(world.door.token(&operator, &own.token.id).expect("seen").state, "revoked");
}

#[tokio::test]
async fn what_a_token_made_for_itself_ends_with_the_first_token() {
    let world = World::new().await;
    let expires_at = Some(world.now() + TimeDelta::hours(1));
    let first = TokenRequest { expires_at, ..request("first", grant(Role::Analyst, over(ACME))) };
    let first = world.door.create_token(&Principal::operator(), first).await.expect("a token");
    let mut maker = world.admits(&first.secret).await.expect("admitted");
    let mut secrets = Vec::new();
    for name in ["second", "third"] {
        let made = request(name, grant(Role::Analyst, over(ACME)));
        let made = world.door.create_token(&maker, made).await.expect("a token");
        assert_eq!(made.token.owner.as_ref(), Some(&first.token.id));
        maker = world.admits(&made.secret).await.expect("admitted");
        secrets.push(made.secret);
    }
    let rotated = world.door.rotate_token(&Principal::operator(), &first.token.id, 0).await;
    let rotated = rotated.expect("rotated");
    for secret in &secrets {
        world.admits(secret).await.expect("it belongs to the new one now");
    }
    world.door.revoke_token(&Principal::operator(), &rotated.token.id).await.expect("revoked");
    for secret in &secrets {
        assert_kind(world.admits(secret).await, ErrorKind::Unauthenticated);
    }
}

#[tokio::test]
async fn whoever_comes_from_elsewhere_makes_no_token_of_its_own() {
    let world = World::new().await;
    let analyst = foreigner(grant(Role::Analyst, over(ACME)));
    let own = request("own", grant(Role::Analyst, over(ACME)));
    assert_kind(world.door.create_token(&analyst, own).await, ErrorKind::Forbidden);
    let admin = foreigner(grant(Role::OrganizationAdmin, over(ACME)));
    let free = request("free", grant(Role::Analyst, over(ACME)));
    assert_eq!(world.door.create_token(&admin, free).await.expect("a token").token.owner, None);
}

#[tokio::test]
async fn a_token_that_one_may_not_see_is_not_there() {
    let world = World::new().await;
    let of_beta = world.token(grant(Role::Analyst, over(BETA))).await;
    let admin = foreigner(grant(Role::OrganizationAdmin, over(ACME)));
    let of_acme = world.token(grant(Role::Analyst, over(ACME))).await;
    let seen = world.door.tokens(&admin).expect("tokens");
    assert_eq!(seen.iter().map(|one| &one.id).collect::<Vec<_>>(), [&of_acme.token.id]);
    let id = of_beta.token.id.as_str();
    for id in [id, "unknown"] {
        assert_kind(world.door.token(&admin, id), ErrorKind::NotFound);
        assert_kind(world.door.revoke_token(&admin, id).await, ErrorKind::NotFound);
        assert_kind(world.door.rotate_token(&admin, id, 0).await, ErrorKind::NotFound);
    }
    world.admits(&of_beta.secret).await.expect("untouched");
}

#[tokio::test]
async fn a_token_sees_and_ends_itself_and_no_other() {
    let world = World::new().await;
    let one = world.token(grant(Role::Analyst, over(ACME))).await;
    let other = world.token(grant(Role::Analyst, over(ACME))).await;
    let caller = world.admits(&one.secret).await.expect("admitted");
    assert_eq!(world.door.tokens(&caller).expect("tokens").len(), 1);
    assert_kind(world.door.revoke_token(&caller, &other.token.id).await, ErrorKind::NotFound);
    world.door.revoke_token(&caller, &one.token.id).await.expect("revoked");
    assert_kind(world.admits(&one.secret).await, ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn scram_checks_by_what_the_token_gives() {
    let world = World::new().await;
    let made = world.token(grant(Role::Analyst, over(ACME))).await;
    let verifier = world.door.scram(&made.token.id).expect("a verifier");
    let iterations = SCRAM_ITERATIONS as usize;
    let salted = pgwire::api::auth::sasl::scram::gen_salted_password(
        &made.secret,
        &verifier.salt,
        iterations,
    );
    assert_eq!(salted, verifier.salted_password);
    assert_eq!(world.door.token_principal(&made.token.id).expect("one").id(), made.token.id);
    let unknown = world.door.scram("unknown").expect("a verifier");
    assert_eq!(unknown.salt.len(), verifier.salt.len());
    assert_eq!(unknown.salted_password.len(), verifier.salted_password.len());
    assert_eq!(unknown, world.door.scram("unknown").expect("the same one"));
    assert_kind(world.door.token_principal("unknown"), ErrorKind::Unauthenticated);
    world.door.revoke_token(&Principal::operator(), &made.token.id).await.expect("revoked");
    assert_ne!(world.door.scram(&made.token.id).expect("a verifier"), verifier);
    assert_kind(world.door.token_principal(&made.token.id), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn the_last_use_is_shown_at_once_and_written_down_later() {
    let world = World::new().await;
    let made = world.token(super_admin()).await;
    let operator = Principal::operator();
    let seen = || world.door.token(&operator, &made.token.id).expect("seen").last_used_at;
    assert_eq!(seen(), None);
    world.wait(TimeDelta::minutes(5));
    world.admits(&made.secret).await.expect("admitted");
    assert_eq!(seen(), Some(world.now()));
    let stored = async || {
        let uses: &[(CredentialUse, DateTime<Utc>)] = &[];
        world.store.note_credential_uses(uses).await.expect("nothing to note");
        let other = open(&world.config, &world.clock, 9).await.expect("opened").0;
        let last = other.credentials().token(&made.token.id).expect("there").last_used_at;
        other.close().await;
        last
    };
    assert_eq!(stored().await, None);
    world.door.note_uses_now().await.expect("noted");
    assert_eq!(stored().await, Some(world.now()));
}

#[tokio::test]
async fn every_act_on_a_token_is_in_the_audit_log_without_its_secret() {
    let world = World::new().await;
    let made = world.token(grant(Role::Analyst, over(ACME))).await;
    let operator = Principal::operator();
    let next = world.door.rotate_token(&operator, &made.token.id, 0).await.expect("rotated");
    world.door.revoke_token(&operator, &next.token.id).await.expect("revoked");
    world.door.revoke_token(&operator, &next.token.id).await.expect("again");
    let acts = world.acts().await;
    let acts: Vec<_> = acts.iter().filter(|act| act.action.starts_with("token.")).collect();
    let names: Vec<_> = acts.iter().map(|act| act.action.as_str()).collect();
    assert_eq!(names, ["token.revoke", "token.rotate", "token.create"]);
    assert!(acts.iter().all(|act| act.actor == "operator"));
    assert_eq!(acts[2].subject, format!("token/{}", made.token.id));
    let text = format!("{acts:?}");
    assert!(!text.contains(&made.secret) && !text.contains(&next.secret), "{text}");
}

use super::*;
use crate::access::{INIT_TOKEN_ID, Login, Permission, SetupRequest, Visitor};
use crate::config::Secret;
use crate::directory::IssuedSubject;

const INIT_TOKEN: &str = "0123456789abcdef0123456789abcdef";
const EMAIL: &str = "ada@example.com";

fn set_up_with(code: &str) -> SetupRequest {
    SetupRequest {
        code: code.to_owned(),
        email: EMAIL.to_owned(),
        name: "Ada".to_owned(),
        password: PASSWORD.to_owned(),
    }
}

#[tokio::test]
async fn a_token_of_the_settings_is_a_super_admins_and_is_made_once() {
    let mut world = World::with(|config| config.init_admin_token = Secret::from(INIT_TOKEN)).await;
    let principal = world.admits(INIT_TOKEN).await.expect("admitted");
    assert_eq!(principal.id(), INIT_TOKEN_ID);
    assert!(principal.may_everywhere(Permission::ManagePlatform));
    assert_eq!(world.door.take_setup_code(), None);
    let (revision, acts) = (world.store.credentials().revision(), world.acts().await.len());
    world.restart(|_| {}).await.expect("again");
    assert_eq!(world.store.credentials().revision(), revision);
    assert_eq!(world.acts().await.len(), acts);
    let other = "fedcba9876543210fedcba9876543210";
    world.restart(|config| config.init_admin_token = Secret::from(other)).await.expect("changed");
    assert_kind(world.admits(INIT_TOKEN).await, ErrorKind::Unauthenticated);
    world.admits(other).await.expect("admitted");
    let rotated = world.door.rotate_token(&Principal::operator(), INIT_TOKEN_ID, 0).await;
    assert_kind(rotated, ErrorKind::Invalid);
}

#[tokio::test]
async fn a_token_of_the_settings_that_was_revoked_stays_revoked() {
    let mut world = World::with(|config| config.init_admin_token = Secret::from(INIT_TOKEN)).await;
    world.token(super_admin()).await;
    world.door.revoke_token(&Principal::operator(), INIT_TOKEN_ID).await.expect("revoked");
    world.restart(|_| {}).await.expect("again");
    assert_kind(world.admits(INIT_TOKEN).await, ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn a_token_that_looks_like_one_of_ours_may_stand_in_the_settings() {
    let other = World::new().await;
    let ours = other.token(super_admin()).await.secret;
    let world = World::with(|config| config.init_admin_token = Secret::from(ours.as_str())).await;
    assert_eq!(world.admits(&ours).await.expect("admitted").id(), INIT_TOKEN_ID);
}

#[tokio::test]
async fn a_token_that_looks_like_a_jwt_may_stand_in_the_settings() {
    let token = "part.another-part.and-a-third-part-of-it";
    let world = World::with(|config| config.init_admin_token = Secret::from(token)).await;
    let shown = Credential::bearer(token);
    assert!(matches!(shown, Credential::Jwt(_)));
    assert_eq!(world.door.authenticate(&shown).await.expect("admitted").id(), INIT_TOKEN_ID);
    let other = Credential::bearer("part.another-part.and-a-fourth-part");
    assert_kind(world.door.authenticate(&other).await, ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn a_token_that_no_header_carries_stops_the_start() {
    for wrong in ["a few words that are long enough 123", "zwölf-und-mehr-als-genug-zeichen-hier"]
    {
        let mut world = World::new().await;
        let wrong = Secret::from(wrong);
        let error = world.restart(|config| config.init_admin_token = wrong).await;
        let error = assert_kind(error, ErrorKind::Invalid);
        assert!(error.to_string().contains("no HTTP header carries"), "{error}");
    }
}

#[tokio::test]
async fn a_token_that_can_be_guessed_stops_the_start() {
    let mut world = World::new().await;
    let short = Secret::from(&INIT_TOKEN[1..]);
    let error = world.restart(|config| config.init_admin_token = short).await;
    let error = assert_kind(error, ErrorKind::Invalid);
    assert!(error.to_string().contains("31 characters; it needs 32"), "{error}");
    assert!(!error.to_string().contains(&INIT_TOKEN[1..]), "{error}");
}

#[tokio::test]
async fn secrets_may_stand_in_files_and_not_in_two_places() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{INIT_TOKEN}\r\n")).expect("write");
    let mut world = World::with(|config| config.init_admin_token_file = file.clone()).await;
    world.admits(INIT_TOKEN).await.expect("admitted");
    let both = world.restart(|config| config.init_admin_token = Secret::from(INIT_TOKEN)).await;
    assert!(assert_kind(both, ErrorKind::Invalid).to_string().contains("both set"));
    std::fs::remove_file(&file).expect("removed");
    let gone = world.restart(|config| config.init_admin_token = Secret::default()).await;
    assert!(assert_kind(gone, ErrorKind::Invalid).to_string().contains("cannot be read"));
}

#[tokio::test]
async fn an_account_of_the_settings_is_made_once_and_follows_its_file() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("password");
    std::fs::write(&file, PASSWORD).expect("write");
    let mut world = World::with(|config| {
        config.init_admin_email = EMAIL.to_owned();
        config.init_admin_password_file = file.clone();
    })
    .await;
    let login = |password: &str| Login { email: EMAIL.to_owned(), password: password.to_owned() };
    let visitor = Visitor::default();
    let session = world.door.log_in(&login(PASSWORD), &visitor).await.expect("a session");
    assert!(session.principal.may_everywhere(Permission::ManagePlatform));
    let id = session.principal.id().to_owned();
    let change = crate::access::AccountChange {
        password: Some("chosen by herself".to_owned()),
        ..Default::default()
    };
    world.door.change_account(&Principal::operator(), &id, change).await.expect("changed");
    world.restart(|_| {}).await.expect("again");
    let login_now = world.door.log_in(&login("chosen by herself"), &visitor).await;
    assert_eq!(login_now.expect("her own password stays").principal.id(), id);
    std::fs::write(&file, "another one, from the file\n").expect("write");
    world.restart(|_| {}).await.expect("again");
    let login_now = world.door.log_in(&login("another one, from the file"), &visitor).await;
    assert_eq!(login_now.expect("a session").principal.id(), id);
    let alone = world.restart(|config| config.init_admin_email = String::new()).await;
    assert_kind(alone, ErrorKind::Invalid);
}

#[tokio::test]
async fn an_account_that_somebody_else_made_is_not_promoted_by_the_settings() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("password");
    std::fs::write(&file, PASSWORD).expect("write");
    let mut world = World::new().await;
    let planted = world.account(EMAIL, grant(Role::Analyst, over(ACME))).await;
    let error = world.restart(|config| {
        config.init_admin_email = EMAIL.to_owned();
        config.init_admin_password_file = file.clone();
    });
    let error = assert_kind(error.await, ErrorKind::Invalid);
    assert!(error.to_string().contains("name another address"), "{error}");
    let other = "root@example.com";
    world.restart(|config| config.init_admin_email = other.to_owned()).await.expect("the way out");
    assert_eq!(world.person(&planted.id).grants(), [grant(Role::Analyst, over(ACME))]);
    // One that may do everything already gains nothing.
    let admin = world.account("boss@example.com", super_admin()).await;
    let boss = "boss@example.com".to_owned();
    world.restart(|config| config.init_admin_email = boss).await.expect("a super admin's");
    assert_eq!(world.person(&admin.id).grants(), [super_admin()]);
}

#[tokio::test]
async fn an_account_that_a_provider_vouches_for_is_not_brought_in_by_the_settings() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("password");
    std::fs::write(&file, PASSWORD).expect("write");
    let mut world = World::new().await;
    let request = AccountRequest {
        email: EMAIL.to_owned(),
        name: "Ada".to_owned(),
        grants: vec![super_admin()],
        password: None,
        subject: Some(IssuedSubject { issuer: "issuer".to_owned(), subject: "ada".to_owned() }),
    };
    world.door.create_account(&Principal::operator(), request).await.expect("an account");
    let error = world.restart(|config| {
        config.init_admin_email = EMAIL.to_owned();
        config.init_admin_password_file = file.clone();
    });
    assert_kind(error.await, ErrorKind::Invalid);
}

#[tokio::test]
async fn the_setup_code_works_once() {
    let mut world = World::new().await;
    assert!(!world.door.has_super_admin().expect("known"));
    let code = world.door.take_setup_code().expect("a code");
    assert_eq!(world.door.take_setup_code(), None, "it is told once");
    let visitor = Visitor::default();
    assert_kind(world.door.set_up(set_up_with("wrong"), &visitor).await, ErrorKind::Forbidden);
    let mut weak = set_up_with(&code);
    weak.password = "short".to_owned();
    assert_kind(world.door.set_up(weak, &visitor).await, ErrorKind::Invalid);
    let session = world.door.set_up(set_up_with(&code), &visitor).await.expect("a session");
    assert!(session.principal.may_everywhere(Permission::ManagePlatform));
    let mut again = set_up_with(&code);
    again.email = "eve@example.com".to_owned();
    assert_kind(world.door.set_up(again, &visitor).await, ErrorKind::Forbidden);
    assert!(world.door.has_super_admin().expect("known"));
    world.restart(|_| {}).await.expect("again");
    assert_eq!(world.door.take_setup_code(), None);
}

#[tokio::test]
async fn the_setup_code_is_worth_nothing_once_there_is_a_super_admin() {
    let world = World::new().await;
    let code = world.door.take_setup_code().expect("a code");
    world.account("ada@example.com", super_admin()).await;
    let late = world.door.set_up(set_up_with(&code), &Visitor::default()).await;
    let error = assert_kind(late, ErrorKind::Forbidden);
    assert!(error.to_string().contains("there is a super admin"), "{error}");
}

#[tokio::test]
async fn two_who_use_the_setup_code_at_once_make_one_account() {
    let world = World::new().await;
    let code = world.door.take_setup_code().expect("a code");
    let visitor = Visitor::default();
    let mut other = set_up_with(&code);
    other.email = "eve@example.com".to_owned();
    let (one, other) = tokio::join!(
        world.door.set_up(set_up_with(&code), &visitor),
        world.door.set_up(other, &visitor),
    );
    assert!(one.is_ok() != other.is_ok());
    assert_eq!(world.door.accounts(&Principal::operator()).expect("accounts").len(), 1);
}

#[tokio::test]
async fn the_setup_code_is_taken_for_fifteen_minutes_and_is_new_at_each_start() {
    let mut world = World::new().await;
    let old = world.door.take_setup_code().expect("a code");
    world.wait(TimeDelta::minutes(15));
    let visitor = Visitor::default();
    let late =
        assert_kind(world.door.set_up(set_up_with(&old), &visitor).await, ErrorKind::Forbidden);
    assert!(late.to_string().contains("too old"), "{late}");
    world.restart(|_| {}).await.expect("again");
    let new = world.door.take_setup_code().expect("a code");
    assert_ne!(old, new);
    assert_kind(world.door.set_up(set_up_with(&old), &visitor).await, ErrorKind::Forbidden);
    world.door.set_up(set_up_with(&new), &visitor).await.expect("a session");
}

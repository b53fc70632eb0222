//! What features make of mirrored objects: their own tables, kept up in the transaction that absorbs.

use async_trait::async_trait;
use kit::TenantId;
use store::TenantTx;
use vault::ConnectionId;

/// Whose objects are absorbed, and through which connection they came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The organization in its environment.
    pub tenant: TenantId,
    /// The connection they came through.
    pub connection_id: ConnectionId,
    /// The Stripe account they belong to: the connection's own, or one connected to it.
    pub account_id: String,
}

/// One object that changed, before and after. An object appears once in a batch, however often it was seen.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The Stripe account it belongs to.
    pub account_id: &'a str,
    /// Stripe's name of the kind, such as `charge`.
    pub object_type: &'a str,
    /// The object's id.
    pub id: &'a str,
    /// Its JSON before; none for an object that was not known.
    pub before: Option<&'a str>,
    /// Its JSON now. Of an object that was never seen whole only `{id, object, deleted: true}`.
    pub after: &'a str,
    /// It was known to be gone before.
    pub deleted_before: bool,
    /// It is gone now.
    pub deleted_after: bool,
}

/// A feature's own view of mirrored objects.
///
/// What it writes must be a function of the objects as they are, not of the way there: changes come in any order, and
/// [`Mirror::rebuild`](crate::Mirror::rebuild) must end in the same rows.
#[async_trait]
pub trait Projection: Send + Sync {
    /// Its name, for logs and for `bursar sync --rebuild`.
    fn name(&self) -> &'static str;

    /// The kinds it wants, by Stripe's names.
    fn objects(&self) -> &'static [&'static str];

    /// Turns changes into its own rows, in the transaction that stores the objects. Only changes of kinds it wants are
    /// given, all of one account.
    async fn apply(&self, tx: &mut TenantTx, scope: &Scope, changes: &[Change<'_>]) -> store::Result<()>;

    /// Removes its rows of the account: before a rebuild, and when a connection's data is erased.
    async fn clear(&self, tx: &mut TenantTx, scope: &Scope) -> store::Result<()>;
}

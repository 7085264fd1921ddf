//! Calls of every function that sessions have.

use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Signature, Volatility};
use rand::Rng;
use rand::seq::IndexedRandom;

use super::{Generator, Kind, Statement, Table, exact, loose};

/// Where a function stands in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Value,
    Aggregate,
    Window,
    Table,
}

/// A function by one of its names.
#[derive(Debug)]
pub(super) struct Function {
    name: String,
    role: Role,
    /// Whether it always gives the same for the same arguments.
    is_steady: bool,
    /// Kinds of arguments that fit; none where the signature does not say.
    fitting: Vec<Vec<Kind>>,
}

impl Function {
    fn new(name: &str, role: Role, signature: &Signature) -> Self {
        let fitting = signature.type_signature.get_example_types();
        let kinds = |types: Vec<_>| types.iter().map(Kind::of).collect();
        Self {
            name: name.to_owned(),
            role,
            is_steady: signature.volatility == Volatility::Immutable,
            fitting: fitting.into_iter().map(kinds).collect(),
        }
    }
}

/// Every function of sessions like `state`, in the order of names.
pub(super) fn of_sessions(state: &SessionState) -> Vec<Function> {
    let values = state.scalar_functions().iter();
    let values = values.map(|(name, one)| Function::new(name, Role::Value, one.signature()));
    let aggregates = state.aggregate_functions().iter();
    let aggregates =
        aggregates.map(|(name, one)| Function::new(name, Role::Aggregate, one.signature()));
    let windows = state.window_functions().iter();
    let windows = windows.map(|(name, one)| Function::new(name, Role::Window, one.signature()));
    let tables = state.table_functions().keys();
    let any = Signature::variadic_any(Volatility::Immutable);
    let tables = tables.map(|name| Function::new(name, Role::Table, &any));
    let mut functions: Vec<_> = values.chain(aggregates).chain(windows).chain(tables).collect();
    functions.sort_by(|one, other| one.name.cmp(&other.name));
    functions
}

impl<'a> Generator<'a> {
    fn function(&mut self, role: Role) -> &'a Function {
        let fitting: Vec<_> = self.names.functions.iter().filter(|one| one.role == role).collect();
        fitting[self.random.random_range(0..fitting.len())]
    }

    fn argument(&mut self, table: &'a Table, kind: Kind) -> String {
        let constant = self.chance(30);
        let column = self.column_of(table, &[kind]).filter(|_| !constant && kind != Kind::Other);
        match (kind, column) {
            (_, Some((name, _))) => name.to_owned(),
            (Kind::Text, None) => self.text(),
            (Kind::Number | Kind::Money, None) => self.number().to_string(),
            (Kind::Date, None) => "DATE '2026-01-02'".to_owned(),
            (Kind::Time, None) => "TIMESTAMP '2026-01-02 03:04:05'".to_owned(),
            (Kind::Map, None) => "map(['a'], ['b'])".to_owned(),
            (Kind::Other, None) => {
                let text = self.text_column(table);
                match self.random.random_range(0..5) {
                    0 | 1 => format!("make_array({text}, 'a')"),
                    2 => "INTERVAL '1 day'".to_owned(),
                    3 => "1.5e0".to_owned(),
                    _ => format!("{text} IS NULL"),
                }
            }
        }
    }

    fn call(&mut self, function: &Function, table: &'a Table) -> String {
        let name = match self.random.random_range(0..8) {
            0 => self.spelled(&function.name),
            1 => format!("pg_catalog.{}", function.name),
            _ => function.name.clone(),
        };
        let known = function.fitting.choose(&mut self.random).cloned();
        let kinds = known.filter(|_| self.chance(85)).unwrap_or_else(|| {
            let some = [Kind::Text, Kind::Text, Kind::Number, Kind::Time, Kind::Map, Kind::Other];
            let count = self.random.random_range(0..4);
            (0..count).filter_map(|_| some.choose(&mut self.random).copied()).collect()
        });
        let arguments: Vec<_> = kinds.into_iter().map(|kind| self.argument(table, kind)).collect();
        format!("{name}({})", arguments.join(", "))
    }

    /// A value by a call; of one that changes by itself, only whether it is there.
    fn called(&mut self, table: &'a Table) -> String {
        let function = self.function(Role::Value);
        let call = self.call(function, table);
        if function.is_steady { call } else { format!("({call} IS NULL)") }
    }

    /// Statements that call any function.
    pub(super) fn calling(&mut self) -> Statement {
        let table = self.table();
        let (name, filter) = (table.name, self.filter(table, ""));
        let (text, order) = (self.text_column(table), self.plain(table));
        match self.random.random_range(0..12) {
            0 | 1 => exact(format!("SELECT {} AS c FROM {name}{filter}", self.called(table))),
            2 => exact(format!(
                "SELECT count(*) FROM {name} WHERE {} IS NOT NULL",
                self.called(table)
            )),
            3 => exact(format!(
                "SELECT {} AS c, count(*) FROM {name}{filter} GROUP BY 1",
                self.called(table)
            )),
            4 => {
                exact(format!("SELECT CAST({} AS bigint) FROM {name}{filter}", self.called(table)))
            }
            5 => exact(format!(
                "SELECT {text} FROM {name} WHERE CAST({} AS varchar) > {}",
                self.called(table),
                self.text()
            )),
            role @ 6..=8 => {
                let aggregate = self.function(Role::Aggregate);
                let call = self.call(aggregate, table);
                loose(match role {
                    6 => format!("SELECT {call} FROM {name}{filter}"),
                    7 => format!("SELECT {text}, {call} FROM {name}{filter} GROUP BY {text}"),
                    _ => format!(
                        "SELECT {call} OVER (PARTITION BY {text} ORDER BY {order}) FROM {name}{filter}"
                    ),
                })
            }
            9 | 10 => {
                let window = self.function(Role::Window);
                let call = self.call(window, table);
                loose(format!(
                    "SELECT {text}, {call} OVER (PARTITION BY {text} ORDER BY {order}) FROM {name}{filter}"
                ))
            }
            _ => {
                let series = self.function(Role::Table);
                let end = self.random.random_range(1..5);
                let arguments = match self.random.random_range(0..3) {
                    0 => String::new(),
                    1 => format!("1, {end}"),
                    _ => self.text(),
                };
                loose(format!("SELECT count(*) FROM {}({arguments}) g, {name}", series.name))
            }
        }
    }
}

//! Parts of questions about catalogs, in words that the engine plans.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Subscript, Value, ValueWithSpan,
};

/// A branch that looks something up (the name of a collation, how a column
/// counts): the engine plans no such branch, and nothing here has any.
pub(super) fn forget_subquery(branch: &mut Expr) {
    if matches!(branch, Expr::Subquery(_)) {
        *branch = Expr::Value(Value::Null.into());
    }
}

/// Whether it is the word NULL.
pub(super) fn is_null(expression: &Expr) -> bool {
    matches!(expression, Expr::Value(value) if value.value == Value::Null)
}

/// `(x).n` as `(x)['n']`, which the engine reads.
pub(super) fn by_subscript(access: &mut AccessExpr) {
    if let AccessExpr::Dot(Expr::Identifier(field)) = access {
        let index = Expr::Value(Value::SingleQuotedString(field.value.clone()).into());
        *access = AccessExpr::Subscript(Subscript::Index { index });
    }
}

/// The engine's LIKE knows the backslash only.
pub(super) fn escape_by_backslash(pattern: &mut Box<Expr>, escape: &mut Option<ValueWithSpan>) {
    let Some(Value::SingleQuotedString(sign)) = escape.as_ref().map(|value| &value.value) else {
        return;
    };
    if sign == "\\" {
        return;
    }
    let text = |text: &str| Expr::Value(Value::SingleQuotedString(text.to_owned()).into());
    let replaced = [pattern.as_ref().clone(), text(sign), text("\\")];
    let arguments = replaced.map(|one| FunctionArg::Unnamed(FunctionArgExpr::Expr(one))).to_vec();
    let list = FunctionArgumentList { duplicate_treatment: None, args: arguments, clauses: vec![] };
    **pattern = Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("replace")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    });
    *escape = None;
}

//! Which conditions of a statement may run behind the tenant wall, where they
//! meet rows that the caller must not know of: those that answer yes or no for
//! every row there can be, and can fail for none.

use arrow::datatypes::{DataType, Schema};
use datafusion::logical_expr::expr::{Between, InList, Like};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// Whether `filter` can neither fail nor tell anything of the rows it refuses:
/// columns compared with constants of the same type, and AND, OR, NOT of such.
/// A cast, an arithmetic operation or a function is none, whatever it does.
pub(super) fn is_harmless(filter: &Expr, schema: &Schema) -> bool {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            is_harmless(left, schema) && is_harmless(right, schema)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => {
            fits(left, &[right], schema) || fits(right, &[left], schema)
        }
        Expr::Not(inner) => is_harmless(inner, schema),
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => plain_column(inner, schema).is_some(),
        Expr::InList(InList { expr, list, .. }) => {
            fits(expr, &list.iter().collect::<Vec<_>>(), schema)
        }
        Expr::Between(Between { expr, low, high, .. }) => fits(expr, &[low, high], schema),
        Expr::Like(like) => is_plain_like(like, schema),
        _ => false,
    }
}

fn compares(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// Whether `column` is one, and all `constants` are of exactly its type.
fn fits(column: &Expr, constants: &[&Expr], schema: &Schema) -> bool {
    plain_column(column, schema).is_some_and(|data_type| {
        constants
            .iter()
            .all(|one| matches!(one, Expr::Literal(value, _) if value.data_type() == *data_type))
    })
}

/// The type of a column whose values compare without any conversion.
fn plain_column<'a>(expression: &Expr, schema: &'a Schema) -> Option<&'a DataType> {
    let Expr::Column(column) = expression else { return None };
    let data_type = schema.field_with_name(column.name()).ok()?.data_type();
    let compares = matches!(
        data_type,
        DataType::Utf8
            | DataType::Utf8View
            | DataType::Int8
            | DataType::Int64
            | DataType::Date32
            | DataType::Timestamp(_, _)
            | DataType::Decimal128(_, _)
    );
    compares.then_some(data_type)
}

/// A pattern that needs no regular expression, of which some are too large to
/// build: a text with `%` at its ends only.
fn is_plain_like(like: &Like, schema: &Schema) -> bool {
    let Expr::Literal(value, _) = like.pattern.as_ref() else { return false };
    let Some(Some(pattern)) = value.try_as_str() else { return false };
    let inner = pattern.strip_prefix('%').unwrap_or(pattern);
    let inner = inner.strip_suffix('%').unwrap_or(inner);
    !like.case_insensitive
        && like.escape_char.is_none()
        && !inner.contains(['%', '_', '\\'])
        && fits(&like.expr, &[&like.pattern], schema)
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{cast, col, lit};
    use datafusion::scalar::ScalarValue;

    use super::*;
    use crate::model::usage_events_schema;

    fn harmless(filter: &Expr) -> bool {
        is_harmless(filter, &usage_events_schema())
    }

    fn like(pattern: &str, case_insensitive: bool) -> Expr {
        let (expr, pattern) = (Box::new(col("topic")), Box::new(lit(pattern)));
        Expr::Like(Like { negated: false, expr, pattern, escape_char: None, case_insensitive })
    }

    #[test]
    fn columns_compared_with_constants_of_their_type_are_harmless() {
        let cost = ScalarValue::Decimal128(Some(1), 18, 12);
        for filter in [
            col("topic").eq(lit("x")),
            lit(5_i64).lt(col("input_tokens")),
            col("topic").is_null().or(col("user_id").is_not_null()),
            !col("quantity").eq(lit(1_i8)),
            col("charged_cost").gt(lit(cost)),
            col("usage_date")
                .between(lit(ScalarValue::Date32(Some(1))), lit(ScalarValue::Date32(Some(2)))),
            col("topic").in_list(vec![lit("a"), lit("b")], true),
            like("%needle%", false),
            like("start%", false),
        ] {
            assert!(harmless(&filter), "{filter}");
        }
    }

    #[test]
    fn what_can_fail_or_compute_stays_before_the_wall() {
        for filter in [
            cast(col("topic"), DataType::Int64).eq(lit(1_i64)),
            col("topic").eq(lit(1_i64)),
            col("topic").eq(col("user_id")),
            col("input_tokens").eq(lit(1_i32)),
            (lit(1_i64) / col("input_tokens")).eq(lit(1_i64)),
            col("charged_cost").gt(lit(ScalarValue::Decimal128(Some(1), 38, 12))),
            col("topic").eq(lit("x")).and((col("input_tokens") + lit(1_i64)).eq(lit(1_i64))),
            col("topic").in_list(vec![lit("a"), col("user_id")], false),
            col("tags").is_null(),
            col("nothing").is_null(),
            like("a_b", false),
            like("a%b", false),
            like("needle", true),
            lit(true),
        ] {
            assert!(!harmless(&filter), "{filter}");
        }
    }
}

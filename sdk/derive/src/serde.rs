//! What serde was told about a type: names, defaults, tags. Only what reading JSON depends on.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Result, Token};

/// The attributes of a container, a field or a variant.
#[derive(Default)]
pub(crate) struct Serde {
    pub(crate) rename: Option<String>,
    pub(crate) rename_all: Option<String>,
    pub(crate) rename_all_fields: Option<String>,
    pub(crate) aliases: Vec<String>,
    pub(crate) default: bool,
    pub(crate) skip: bool,
    pub(crate) reads_itself: bool,
    pub(crate) deny_unknown_fields: bool,
    pub(crate) untagged: bool,
    pub(crate) transparent: bool,
    pub(crate) tag: Option<String>,
    /// `#[schema(json = "..")]`: the members of the schema, instead of what the type would have.
    pub(crate) json: Option<String>,
    /// `#[schema(unknown_keys = "warn")]`.
    pub(crate) unknown_keys: Option<String>,
    /// `#[schema(no_effect = "..")]`: why the value is read and does nothing.
    pub(crate) no_effect: Option<String>,
    /// The doc comment.
    pub(crate) about: String,
}

impl Serde {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut read = Self::default();
        for attribute in attributes {
            if attribute.path().is_ident("doc") {
                read.document(attribute);
            } else if attribute.path().is_ident("serde") {
                attribute.parse_nested_meta(|meta| read.serde(&meta))?;
            } else if attribute.path().is_ident("schema") {
                attribute.parse_nested_meta(|meta| read.schema(&meta))?;
            }
        }
        Ok(read)
    }

    fn document(&mut self, attribute: &Attribute) {
        if let Ok(line) = attribute.meta.require_name_value()
            && let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &line.value
        {
            let separator = if self.about.is_empty() { "" } else { " " };
            self.about = format!("{}{separator}{}", self.about, text.value().trim());
        }
    }

    fn serde(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let Some(word) = meta.path.get_ident().map(ToString::to_string) else { return skip(meta) };
        match word.as_str() {
            "rename" => self.rename = text(meta)?.or(self.rename.take()),
            "rename_all" => self.rename_all = text(meta)?.or(self.rename_all.take()),
            "rename_all_fields" => self.rename_all_fields = text(meta)?,
            "alias" => self.aliases.extend(text(meta)?),
            "tag" => self.tag = text(meta)?,
            "default" => {
                self.default = true;
                return skip(meta);
            }
            "skip" | "skip_deserializing" => self.skip = true,
            "deny_unknown_fields" => self.deny_unknown_fields = true,
            "untagged" => self.untagged = true,
            "transparent" => self.transparent = true,
            "deserialize_with" | "with" => {
                self.reads_itself = true;
                return skip(meta);
            }
            "flatten" | "content" | "try_from" | "from" | "remote" => {
                return Err(
                    meta.error(format!("`{word}` has no schema here; write one by #[schema(json = \"..\")]"))
                );
            }
            _ => return skip(meta),
        }
        Ok(())
    }

    fn schema(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("json") {
            self.json = Some(meta.value()?.parse::<LitStr>()?.value());
        } else if meta.path.is_ident("unknown_keys") {
            let word = meta.value()?.parse::<LitStr>()?;
            if word.value() != "warn" {
                return Err(syn::Error::new_spanned(word, "expected \"warn\""));
            }
            self.unknown_keys = Some(word.value());
        } else if meta.path.is_ident("no_effect") {
            self.no_effect = Some(meta.value()?.parse::<LitStr>()?.value());
        } else {
            return Err(
                meta.error("expected `json = \"..\"`, `no_effect = \"..\"` or `unknown_keys = \"warn\"`")
            );
        }
        Ok(())
    }
}

/// `= ".."`, or of `(serialize = "..", deserialize = "..")` the latter.
fn text(meta: &ParseNestedMeta<'_>) -> Result<Option<String>> {
    if meta.input.peek(Token![=]) {
        return Ok(Some(meta.value()?.parse::<LitStr>()?.value()));
    }
    let mut found = None;
    meta.parse_nested_meta(|side| {
        let value = side.value()?.parse::<LitStr>()?.value();
        if side.path.is_ident("deserialize") {
            found = Some(value);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Goes past what does not matter here.
fn skip(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<Expr>().map(|_| ())
    } else if meta.input.peek(syn::token::Paren) {
        meta.parse_nested_meta(|inner| skip(&inner))
    } else {
        Ok(())
    }
}

/// The name that serde makes of a field (`snake_case` in Rust) by a rule.
pub(crate) fn of_field(name: &str, rule: Option<&str>) -> String {
    let pascal = || name.split('_').map(capitalised).collect::<String>();
    match rule.unwrap_or("snake_case") {
        "UPPERCASE" | "SCREAMING_SNAKE_CASE" => name.to_ascii_uppercase(),
        "PascalCase" => pascal(),
        "camelCase" => lowered(&pascal()),
        "kebab-case" => name.replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => name.to_ascii_uppercase().replace('_', "-"),
        _ => name.to_owned(),
    }
}

/// The name that serde makes of a variant (`PascalCase` in Rust) by a rule.
pub(crate) fn of_variant(name: &str, rule: Option<&str>) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    match rule.unwrap_or("PascalCase") {
        "lowercase" => name.to_ascii_lowercase(),
        "UPPERCASE" => name.to_ascii_uppercase(),
        "camelCase" => lowered(name),
        "PascalCase" => name.to_owned(),
        rule => of_field(&snake, Some(rule)),
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

fn lowered(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

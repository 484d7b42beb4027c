//! `Schema` and `Config`: a JSON schema of what serde reads into a type, as a tree of constant texts.
//!
//! The members of a schema are made, without the braces around them: so a description can be put before those of any type.

use crate::serde::{Serde, of_field, of_variant};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Data, DataEnum, DataStruct, DeriveInput, Error, Field, Fields, Result, Type, Variant};

/// A type that is a part of a configuration.
pub(crate) fn part(input: &DeriveInput) -> Result<TokenStream> {
    let members = members(input)?;
    let (ident, (generics, of_type, bounds)) = (&input.ident, input.generics.split_for_impl());
    Ok(quote! {
        impl #generics ::proxy_wasm_kit::Schema for #ident #of_type #bounds {
            const MEMBERS: &'static ::proxy_wasm_kit::SchemaText = &#members;
        }
    })
}

/// The type of a whole configuration: its schema goes into the module.
pub(crate) fn whole(input: &DeriveInput) -> Result<TokenStream> {
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new_spanned(
            parameter,
            "a configuration has no parameters: its schema is made once",
        ));
    }
    let (part, ident) = (part(input)?, &input.ident);
    Ok(quote! {
        #part
        ::proxy_wasm_kit::custom_section!("pwkit.config", ::proxy_wasm_kit::schema_text!(#ident));
    })
}

fn members(input: &DeriveInput) -> Result<TokenStream> {
    let own = Serde::read(&input.attrs)?;
    if let Some(json) = &own.json {
        return Ok(all(&[described(&own.about), text(json)]));
    }
    let members = match &input.data {
        Data::Struct(data) => structure(data, &own)?,
        Data::Enum(data) => choice(data, &own)?,
        Data::Union(_) => return Err(Error::new_spanned(input, "a union cannot be read from JSON")),
    };
    let unknown = own.unknown_keys.iter().map(|word| text(&format!(r#","x-unknown-keys":"{word}""#)));
    let parts: Vec<_> = [described(&own.about), members].into_iter().chain(unknown).collect();
    Ok(all(&parts))
}

fn structure(data: &DataStruct, own: &Serde) -> Result<TokenStream> {
    match &data.fields {
        Fields::Named(fields) if own.transparent => {
            fields.named.first().map_or_else(|| Ok(text(r#""type":"object""#)), |only| of_type(only, false))
        }
        Fields::Named(fields) => object(fields.named.iter(), own, None),
        Fields::Unnamed(fields) => match fields.unnamed.iter().collect::<Vec<_>>().as_slice() {
            [only] => of_type(only, false),
            _ => Err(Error::new_spanned(fields, "a list of unlike things; give its fields names")),
        },
        Fields::Unit => Ok(text(r#""type":"null""#)),
    }
}

/// An object; `tag` is a property that must have a value of its own.
fn object<'a>(
    fields: impl Iterator<Item = &'a Field>,
    own: &Serde,
    tag: Option<(&str, &str)>,
) -> Result<TokenStream> {
    let (mut properties, mut required) = (Vec::new(), Vec::new());
    if let Some((tag, value)) = tag {
        properties.push(text(&format!("{}:{{\"const\":{}}}", quoted(tag), quoted(value))));
        required.push(quoted(tag));
    }
    for field in fields {
        let about = Serde::read(&field.attrs)?;
        if about.skip {
            continue;
        }
        let ident = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
        let made = || of_field(ident.trim_start_matches("r#"), own.rename_all.as_deref());
        let name = about.rename.clone().unwrap_or_else(made);
        let optional = about.default || own.default || (is_option(&field.ty) && !about.reads_itself);
        if !optional && about.aliases.is_empty() {
            required.push(quoted(&name));
        }
        for name in std::iter::once(&name).chain(&about.aliases) {
            let (open, members) =
                (text(&format!("{}:{{", quoted(name))), of_type(field, about.reads_itself)?);
            let comma = (!properties.is_empty()).then(|| text(","));
            let effect =
                about.no_effect.as_deref().map(|why| text(&format!(",\"x-no-effect\":{}", quoted(why))));
            properties.push(all(&comma
                .into_iter()
                .chain([open, described(&about.about), members])
                .chain(effect)
                .chain([text("}")])
                .collect::<Vec<_>>()));
        }
    }
    let required =
        if required.is_empty() { String::new() } else { format!(",\"required\":[{}]", required.join(",")) };
    let closed = if own.deny_unknown_fields { ",\"additionalProperties\":false" } else { "" };
    let mut parts = vec![text("\"type\":\"object\",\"properties\":{")];
    parts.extend(properties);
    parts.push(text(&format!("}}{required}{closed}")));
    Ok(all(&parts))
}

fn choice(data: &DataEnum, own: &Serde) -> Result<TokenStream> {
    let mut variants = Vec::new();
    for variant in &data.variants {
        let about = Serde::read(&variant.attrs)?;
        if !about.skip {
            let made = || of_variant(&variant.ident.to_string(), own.rename_all.as_deref());
            variants.push((about.rename.clone().unwrap_or_else(made), variant, about));
        }
    }
    let is_unit = |variant: &Variant| matches!(variant.fields, Fields::Unit);
    if !own.untagged && own.tag.is_none() && variants.iter().all(|(_, variant, _)| is_unit(variant)) {
        let names: Vec<String> = variants.iter().map(|(name, _, _)| quoted(name)).collect();
        return Ok(text(&format!("\"enum\":[{}]", names.join(","))));
    }
    let mut parts = vec![text(if own.untagged { "\"anyOf\":[" } else { "\"oneOf\":[" })];
    for (index, (name, variant, about)) in variants.iter().enumerate() {
        parts.push(text(if index == 0 { "{" } else { ",{" }));
        parts.push(described(&about.about));
        parts.push(alternative(name, variant, about, own)?);
        parts.push(text("}"));
    }
    parts.push(text("]"));
    Ok(all(&parts))
}

fn alternative(name: &str, variant: &Variant, about: &Serde, own: &Serde) -> Result<TokenStream> {
    let inner = Serde {
        rename_all: about.rename_all.clone().or(own.rename_all_fields.clone()),
        deny_unknown_fields: own.deny_unknown_fields,
        ..Serde::default()
    };
    let fields = |tag: Option<(&str, &str)>| match &variant.fields {
        Fields::Named(fields) => object(fields.named.iter(), &inner, tag),
        Fields::Unit => match tag {
            Some(_) => object([].into_iter(), &inner, tag),
            None => Ok(text("\"type\":\"null\"")),
        },
        Fields::Unnamed(fields) => match (fields.unnamed.iter().collect::<Vec<_>>().as_slice(), tag) {
            ([only], None) => of_type(only, false),
            _ => Err(Error::new_spanned(fields, "give the fields of this variant names")),
        },
    };
    match (&own.tag, &variant.fields) {
        (Some(tag), _) => fields(Some((tag, name))),
        (None, _) if own.untagged => fields(None),
        (None, Fields::Unit) => Ok(text(&format!("\"enum\":[{}]", quoted(name)))),
        (None, _) => {
            let name = quoted(name);
            let open = text(&format!("\"type\":\"object\",\"properties\":{{{name}:{{"));
            let close = text(&format!("}}}},\"required\":[{name}],\"additionalProperties\":false"));
            Ok(all(&[open, fields(None)?, close]))
        }
    }
}

/// The members of a field's type. What is read by a function of its own is not null, even if it is an option.
fn of_type(field: &Field, reads_itself: bool) -> Result<TokenStream> {
    if let Some(json) = Serde::read(&field.attrs)?.json {
        return Ok(text(&json));
    }
    let of_type = &field.ty;
    let of_type = if reads_itself { inside_option(of_type).unwrap_or(of_type) } else { of_type };
    Ok(quote!(::proxy_wasm_kit::SchemaText::Of(<#of_type as ::proxy_wasm_kit::Schema>::MEMBERS)))
}

fn is_option(of_type: &Type) -> bool {
    inside_option(of_type).is_some()
}

fn inside_option(of_type: &Type) -> Option<&Type> {
    let Type::Path(path) = of_type else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Option")?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        syn::GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}

fn described(about: &str) -> TokenStream {
    if about.is_empty() { all(&[]) } else { text(&format!("\"description\":{},", quoted(about))) }
}

fn text(literal: &str) -> TokenStream {
    quote!(::proxy_wasm_kit::SchemaText::Text(#literal))
}

fn all(parts: &[TokenStream]) -> TokenStream {
    quote!(::proxy_wasm_kit::SchemaText::All(&[#(#parts),*])).into_token_stream()
}

/// A text in JSON.
fn quoted(text: &str) -> String {
    let mut json = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => json.extend(['\\', letter]),
            control if control.is_control() => json.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => json.push(other),
        }
    }
    json.push('"');
    json
}

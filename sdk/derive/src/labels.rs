//! `Labels`: a struct whose fields are the labels of a metric family.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Result};

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(input, "labels are the fields of a struct"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(input, "labels are fields with names"));
    };
    let (mut names, mut idents) = (Vec::new(), Vec::new());
    for field in &fields.named {
        names.push(name(field)?);
        idents.extend(&field.ident);
    }
    if names.is_empty() {
        return Err(Error::new_spanned(
            input,
            "there is no label; a metric without any is a plain counter, gauge or histogram",
        ));
    }
    let lines: String = names.iter().map(|name| format!("{name}\n")).collect();
    let (ident, (generics, of_type, bounds)) = (&input.ident, input.generics.split_for_impl());
    Ok(quote! {
        impl #generics ::proxy_wasm_kit::Labels for #ident #of_type #bounds {
            const NAMES: &'static [&'static str] = &[#(#names),*];

            fn values(&self, each: &mut dyn FnMut(&dyn ::proxy_wasm_kit::LabelValue)) {
                #(each(&self.#idents);)*
            }
        }
        ::proxy_wasm_kit::custom_section!("pwkit.labels", #lines);
    })
}

/// The field's name, or that of `#[label(name = "..")]`.
fn name(field: &syn::Field) -> Result<String> {
    let mut name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("label")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("name") {
                return Err(meta.error("expected `name = \"..\"`"));
            }
            name = meta.value()?.parse::<LitStr>()?.value();
            Ok(())
        })?;
    }
    let name = name.trim_start_matches("r#").to_owned();
    let fits = !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    fits.then_some(name).ok_or_else(|| {
        Error::new_spanned(
            field,
            "a label's name is of ASCII letters, digits and `_`, and begins with no digit",
        )
    })
}

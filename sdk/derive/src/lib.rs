//! The derive macros of `proxy-wasm-kit`. Their documentation stands there, beside the traits of the same names.

mod labels;
mod schema;
mod serde;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Derives the trait of the same name: each field is a label.
#[proc_macro_derive(Labels, attributes(label))]
pub fn labels(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    labels::derive(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Derives the trait of the same name, for a type that is a part of a configuration.
#[proc_macro_derive(Schema, attributes(schema, serde))]
pub fn schema(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    schema::part(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Parts of the configuration derive `Schema`.
#[proc_macro_derive(Config, attributes(schema, serde))]
pub fn config(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    schema::whole(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

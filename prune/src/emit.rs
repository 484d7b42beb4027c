//! Writes the module again, with the functions and exports that the plan keeps.

use crate::Options;
use crate::door::SECTION;
use crate::error::PruneError;
use crate::image::{Image, Slots};
use crate::plan::Plan;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, ElementSection, Elements, ExportKind, ExportSection, FunctionSection,
    ImportSection, Module, NameMap, NameSection,
};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, ElementSectionReader, ExportSectionReader, ExternalKind,
    FunctionSectionReader, ImportSectionReader, KnownCustom, Name, NameSectionReader, Parser, TypeRef,
};

pub(crate) fn emit(
    wasm: &[u8],
    image: &Image<'_>,
    plan: &Plan,
    options: Options,
) -> Result<Vec<u8>, PruneError> {
    let mut module = Module::new();
    let mut writer = Writer::new(image, plan, options);
    writer.parse_core_module(&mut module, Parser::new(0), wasm).map_err(PruneError::invalid)?;
    Ok(module.finish())
}

struct Writer<'a> {
    plan: &'a Plan,
    imported: usize,
    /// The new index of each function that stays.
    indices: Vec<Option<u32>>,
    options: Options,
}

/// A function that was dropped is still called: a fault of the plan.
#[derive(Debug)]
struct Dropped(u32);

impl std::fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "function {} is called and was dropped", self.0)
    }
}

impl std::error::Error for Dropped {}

type Result<T = (), E = Error<Dropped>> = std::result::Result<T, E>;

impl<'a> Writer<'a> {
    fn new(image: &Image<'_>, plan: &'a Plan, options: Options) -> Self {
        let mut indices = vec![None; image.function_count()];
        for (new, old) in plan.functions.iter().enumerate() {
            indices[*old as usize] = u32::try_from(new).ok();
        }
        Self { plan, imported: image.imports.len(), indices, options }
    }

    fn stays(&self, function: usize) -> bool {
        self.indices.get(function).is_some_and(Option::is_some)
    }

    /// The names of functions, and of what keeps its index. Those of locals serve debuggers, whose tables are gone.
    fn names(&self, section: NameSectionReader<'_>) -> Result<NameSection> {
        let mut names = NameSection::new();
        for name in section {
            match name? {
                Name::Module { name, .. } => names.module(name),
                Name::Function(map) => {
                    let mut kept = NameMap::new();
                    for naming in map {
                        let naming = naming?;
                        if let Some(Some(index)) = self.indices.get(naming.index as usize) {
                            kept.append(*index, naming.name);
                        }
                    }
                    names.functions(&kept);
                }
                _ => {}
            }
        }
        Ok(names)
    }
}

impl Reencode for Writer<'_> {
    type Error = Dropped;

    fn function_index(&mut self, function: u32) -> Result<u32> {
        let index = self.indices.get(function as usize).copied().flatten();
        index.ok_or(Error::UserError(Dropped(function)))
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result {
        let mut functions = 0;
        for import in section.into_imports() {
            let import = import?;
            if matches!(import.ty, TypeRef::Func(_)) {
                functions += 1;
                if !self.stays(functions - 1) {
                    continue;
                }
            }
            self.parse_import(imports, import)?;
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result {
        for (index, function) in section.into_iter().enumerate() {
            let function = function?;
            if self.stays(self.imported + index) {
                functions.function(self.type_index(function)?);
            }
        }
        Ok(())
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: CodeSectionReader<'_>) -> Result {
        for (index, body) in section.into_iter().enumerate() {
            let body = body?;
            if self.stays(self.imported + index) {
                self.parse_function_body(code, body)?;
            }
        }
        Ok(())
    }

    /// A slot keeps its number, which stands in code and data; that of a function which is gone stays empty.
    fn parse_element_section(
        &mut self,
        elements: &mut ElementSection,
        section: ElementSectionReader<'_>,
    ) -> Result {
        for element in section {
            let element = element?;
            let slots = Slots::of(&element).map_err(|_| Error::InvalidConstExpr)?;
            let Some(slots) = slots else {
                self.parse_element(elements, element)?;
                continue;
            };
            let new: Vec<Option<u32>> =
                slots.functions.iter().map(|function| self.indices[*function as usize]).collect();
            let mut slot = slots.first;
            for run in new.chunk_by(|one, next| one.is_some() == next.is_some()) {
                let functions: Vec<u32> = run.iter().copied().flatten().collect();
                if !functions.is_empty() {
                    let first = ConstExpr::i32_const(slot);
                    elements.active(slots.table, &first, Elements::Functions(functions.into()));
                }
                slot = slot.wrapping_add_unsigned(u32::try_from(run.len()).unwrap_or(u32::MAX));
            }
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result {
        for export in section {
            let export = export?;
            if export.kind == ExternalKind::Memory {
                self.parse_export(exports, export)?;
            }
        }
        for (name, function) in &self.plan.exports {
            exports.export(name, ExportKind::Func, self.function_index(*function)?);
        }
        Ok(())
    }

    fn parse_custom_section(&mut self, module: &mut Module, section: CustomSectionReader<'_>) -> Result {
        // Debug information and relocations speak of places in the code, which move.
        let of_places =
            [".debug_", "reloc.", "linking"].iter().any(|prefix| section.name().starts_with(prefix));
        match section.as_known() {
            _ if of_places || section.name() == SECTION => {}
            _ if self.options.strip && ["name", "producers", "target_features"].contains(&section.name()) => {
            }
            KnownCustom::Name(names) => {
                module.section(&self.names(names)?);
            }
            _ => utils::parse_custom_section(self, module, section)?,
        }
        Ok(())
    }
}

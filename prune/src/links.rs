//! What the linker knew: which code and which data refer to a function, so that one that stands in a table need not stay
//! only because somebody could call it.
//!
//! The linker tells it when it is asked to by `--emit-relocs`.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::PruneError;
use wasmparser::{CustomSectionReader, KnownCustom, Linking, RelocationEntry, RelocationType, SymbolInfo};

/// Something that refers to others, or is referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Function(u32),
    /// A piece of data, by its number among the linker's symbols.
    Data(u32),
}

#[derive(Default)]
pub(crate) struct Links {
    symbols: Vec<Option<Symbol>>,
    /// As the linker wrote them, until the places are known.
    entries: [Vec<RelocationEntry>; 2],
    /// References by the place they are at, in the code and in the data section.
    code: BTreeMap<usize, Node>,
    data: BTreeMap<usize, Node>,
    places: Places,
}

#[derive(Clone, Copy)]
enum Symbol {
    Function(u32),
    Data { segment: u32, offset: u32, size: u32 },
}

/// Where things are in the file, as offsets from the start of their section.
#[derive(Default)]
pub(crate) struct Places {
    /// The code of each function; an imported one has none.
    pub(crate) functions: Vec<Range<usize>>,
    /// The bytes of each data segment.
    pub(crate) segments: Vec<Range<usize>>,
}

impl Links {
    /// Reads a custom section, if it is one of the linker's.
    pub(crate) fn read(&mut self, section: &CustomSectionReader<'_>) -> Result<(), PruneError> {
        match (section.name(), section.as_known()) {
            ("linking", KnownCustom::Linking(linking)) => {
                for subsection in linking.subsections() {
                    if let Linking::SymbolTable(symbols) = subsection? {
                        for symbol in symbols {
                            self.symbols.push(Symbol::of(&symbol?));
                        }
                    }
                }
            }
            ("reloc.CODE", KnownCustom::Reloc(found)) => self.entries[0] = all(found.entries())?,
            ("reloc.DATA", KnownCustom::Reloc(found)) => self.entries[1] = all(found.entries())?,
            _ => {}
        }
        Ok(())
    }

    /// Whether the linker told anything.
    pub(crate) fn are_known(&self) -> bool {
        !self.symbols.is_empty() && !self.code.is_empty()
    }

    /// Finds out what is at which place. `code` is the code section, to see whether the linker spoke of this code.
    pub(crate) fn resolve(&mut self, places: Places, code: &[u8]) -> Result<(), PruneError> {
        let [in_code, in_data] = std::mem::take(&mut self.entries);
        for entry in in_code {
            if let Some(target) = self.target(&entry) {
                check(code, &entry, target)?;
                self.code.insert(entry.offset as usize, target);
            }
        }
        for entry in in_data {
            if let Some(target) = self.target(&entry) {
                self.data.insert(entry.offset as usize, target);
            }
        }
        self.places = places;
        Ok(())
    }

    fn target(&self, entry: &RelocationEntry) -> Option<Node> {
        // The number in this one is that of a type.
        if entry.ty == RelocationType::TypeIndexLeb {
            return None;
        }
        match (*self.symbols.get(entry.index as usize)?)? {
            Symbol::Function(index) => Some(Node::Function(index)),
            Symbol::Data { .. } => Some(Node::Data(entry.index)),
        }
    }

    pub(crate) fn references(&self, node: Node) -> impl Iterator<Item = Node> {
        let (section, place) = match node {
            Node::Function(index) => (&self.code, self.places.functions.get(index as usize).cloned()),
            Node::Data(symbol) => (&self.data, self.place(symbol)),
        };
        section.range(place.unwrap_or_default()).map(|(_, target)| *target)
    }

    fn place(&self, symbol: u32) -> Option<Range<usize>> {
        let Symbol::Data { segment, offset, size } = (*self.symbols.get(symbol as usize)?)? else {
            return None;
        };
        let start = self.places.segments.get(segment as usize)?.start + offset as usize;
        Some(start..start + size as usize)
    }

    /// What is referred to from data that belongs to no symbol: nobody knows who reads it.
    pub(crate) fn unowned(&self) -> Vec<Node> {
        let count = u32::try_from(self.symbols.len()).unwrap_or(u32::MAX);
        let mut owned: Vec<_> = (0..count).filter_map(|symbol| self.place(symbol)).collect();
        owned.sort_by_key(|place| place.start);
        let (mut next, mut end) = (owned.iter().peekable(), 0);
        let mut unowned = Vec::new();
        for (place, target) in &self.data {
            while let Some(symbol) = next.next_if(|symbol| symbol.start <= *place) {
                end = end.max(symbol.end);
            }
            if *place >= end {
                unowned.push(*target);
            }
        }
        unowned
    }
}

fn all(
    entries: wasmparser::SectionLimited<'_, RelocationEntry>,
) -> Result<Vec<RelocationEntry>, wasmparser::BinaryReaderError> {
    entries.into_iter().collect()
}

impl Symbol {
    fn of(symbol: &SymbolInfo<'_>) -> Option<Self> {
        match symbol {
            SymbolInfo::Func { index, .. } => Some(Self::Function(*index)),
            SymbolInfo::Data { symbol: Some(data), .. } => {
                Some(Self::Data { segment: data.index, offset: data.offset, size: data.size })
            }
            _ => None,
        }
    }
}

/// A tool that moves code and knows nothing of relocations leaves them wrong, which shows where calls are.
fn check(code: &[u8], entry: &RelocationEntry, target: Node) -> Result<(), PruneError> {
    let (RelocationType::FunctionIndexLeb, Node::Function(index)) = (entry.ty, target) else { return Ok(()) };
    let bytes = entry.relocation_range().ok().and_then(|range| code.get(range));
    let found = bytes.and_then(|bytes| wasmparser::BinaryReader::new(bytes, 0).read_var_u32().ok());
    if found == Some(index) {
        return Ok(());
    }
    Err(PruneError::malformed("its relocations do not fit its code, so another tool has changed it"))
}

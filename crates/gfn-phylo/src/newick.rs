//! Newick trees: an arena of nodes, its reader and its writer.

use std::fmt::Write as _;

use gfn_core::{Error, Place, Result};

/// One node of a [`NewickTree`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewickNode {
    /// Indices of the children, in the order of the text; empty for a leaf.
    pub children: Vec<usize>,
    /// Index of the parent; `None` for the root only.
    pub parent: Option<usize>,
    /// Name of a leaf; `None` for an internal node.
    pub name: Option<String>,
    /// What stands behind the parenthesis of an internal node: a support value, a clade name.
    pub label: Option<String>,
    /// Length of the edge to the parent, in expected substitutions per site, where given.
    pub length: Option<f64>,
}

/// A tree as written in the Newick format: of any degree, rooted or not, with or without lengths.
///
/// Whether a tree is rooted is a matter of reading: a root with two children is one by custom, a root with three is
/// only a place to start. Names are never changed: an underscore stays an underscore, in quotes or not.
#[derive(Debug, Clone, PartialEq)]
pub struct NewickTree {
    /// All nodes; every parent stands before its children. The root is number 0.
    pub nodes: Vec<NewickNode>,
}

impl NewickTree {
    /// A tree of one node, the root.
    pub fn new() -> NewickTree {
        NewickTree { nodes: vec![NewickNode::default()] }
    }

    /// Adds a child to `parent` and returns its index.
    ///
    /// # Panics
    /// If there is no node `parent`.
    pub fn add_child(&mut self, parent: usize, name: Option<String>, length: Option<f64>) -> usize {
        let node = self.nodes.len();
        self.nodes[parent].children.push(node);
        self.nodes.push(NewickNode { parent: Some(parent), name, length, ..NewickNode::default() });
        node
    }

    /// Reads exactly one tree.
    ///
    /// Understood: quoted names (`''` is one quote), support labels, lengths with exponents, `[comments]` and
    /// annotations anywhere between tokens (skipped), any degree of nesting and of branching. Leaves need a name.
    ///
    /// # Errors
    /// Bad syntax, or text after the semicolon; the place is the byte position, counted from 0.
    pub fn parse(text: &str) -> Result<NewickTree> {
        let mut reader = Reader { bytes: text.as_bytes(), text, position: 0 };
        let tree = reader.tree()?;
        reader.skip_blanks()?;
        if reader.position < reader.bytes.len() {
            return Err(reader.error("the end after ';'", "remove what follows the tree"));
        }
        Ok(tree)
    }

    /// Reads all trees of a text, none for a blank one.
    ///
    /// # Errors
    /// As [`NewickTree::parse`]; positions count from the start of the whole text.
    pub fn parse_all(text: &str) -> Result<Vec<NewickTree>> {
        let mut reader = Reader { bytes: text.as_bytes(), text, position: 0 };
        let mut trees = Vec::new();
        loop {
            reader.skip_blanks()?;
            if reader.position == reader.bytes.len() {
                return Ok(trees);
            }
            trees.push(reader.tree()?);
        }
    }

    /// Names of the leaves, in the order of the text.
    pub fn leaf_names(&self) -> Vec<&str> {
        self.preorder().into_iter().filter_map(|node| self.nodes[node].name.as_deref()).collect()
    }

    /// Number of leaves.
    pub fn n_leaves(&self) -> usize {
        self.nodes.iter().filter(|node| node.children.is_empty()).count()
    }

    /// All nodes, parents before children, children in order.
    pub fn preorder(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut stack = vec![0];
        while let Some(node) = stack.pop() {
            order.push(node);
            stack.extend(self.nodes[node].children.iter().rev());
        }
        order
    }
}

impl Default for NewickTree {
    fn default() -> Self {
        NewickTree::new()
    }
}

impl std::str::FromStr for NewickTree {
    type Err = Error;

    fn from_str(text: &str) -> Result<NewickTree> {
        NewickTree::parse(text)
    }
}

/// The Newick text, with the final semicolon and without blanks; lengths are written so that they read back exactly.
impl std::fmt::Display for NewickTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        enum Step {
            Enter(usize),
            Close(usize),
            Comma,
        }
        let mut text = String::new();
        let mut stack = vec![Step::Enter(0)];
        while let Some(step) = stack.pop() {
            let finished = match step {
                Step::Comma => {
                    text.push(',');
                    continue;
                }
                Step::Enter(node) if self.nodes[node].children.is_empty() => {
                    push_name(&mut text, self.nodes[node].name.as_deref().unwrap_or(""));
                    node
                }
                Step::Enter(node) => {
                    text.push('(');
                    stack.push(Step::Close(node));
                    for (place, &child) in self.nodes[node].children.iter().rev().enumerate() {
                        if place > 0 {
                            stack.push(Step::Comma);
                        }
                        stack.push(Step::Enter(child));
                    }
                    continue;
                }
                Step::Close(node) => {
                    text.push(')');
                    if let Some(label) = &self.nodes[node].label {
                        push_name(&mut text, label);
                    }
                    node
                }
            };
            if let Some(length) = self.nodes[finished].length {
                write!(text, ":{length:?}")?;
            }
        }
        write!(f, "{text};")
    }
}

/// Appends a name, in quotes where the format needs them: blanks, control characters, `( ) [ ] ' : ; ,` or no text.
fn push_name(text: &mut String, name: &str) {
    let special = |c: char| c.is_whitespace() || c.is_control() || "()[]':;,".contains(c);
    if name.is_empty() || name.contains(special) {
        text.push('\'');
        text.push_str(&name.replace('\'', "''"));
        text.push('\'');
    } else {
        text.push_str(name);
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    text: &'a str,
    position: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    /// An error at the current position, which names the character found there.
    fn error(&self, expected: &str, advice: &str) -> Error {
        let found = match self.text.get(self.position..).and_then(|rest| rest.chars().next()) {
            Some(character) => format!("'{character}'"),
            None => "the end of the text".into(),
        };
        self.error_found(expected, &found, advice)
    }

    fn error_found(&self, expected: &str, found: &str, advice: &str) -> Error {
        Error::input(Place::item(format!("Newick tree, position {}", self.position)), expected, found, advice)
    }

    /// Moves past white space and comments; comments may be nested.
    fn skip_blanks(&mut self) -> Result<()> {
        while let Some(byte) = self.peek() {
            if byte.is_ascii_whitespace() {
                self.position += 1;
            } else if byte == b'[' {
                let start = self.position;
                let mut depth = 0;
                loop {
                    match self.peek() {
                        Some(b'[') => depth += 1,
                        Some(b']') => depth -= 1,
                        Some(_) => {}
                        None => {
                            self.position = start;
                            return Err(self.error_found(
                                "']'",
                                "a comment without end",
                                "close the comment",
                            ));
                        }
                    }
                    self.position += 1;
                    if depth == 0 {
                        break;
                    }
                }
            } else {
                break;
            }
        }
        Ok(())
    }

    /// A name or label, quoted or not; `None` where none stands.
    fn name(&mut self) -> Result<Option<String>> {
        self.skip_blanks()?;
        let start = self.position;
        if self.peek() == Some(b'\'') {
            let mut name = String::new();
            loop {
                self.position += 1;
                let piece = self.position;
                match self.bytes[piece..].iter().position(|&byte| byte == b'\'') {
                    Some(length) => self.position += length,
                    None => {
                        self.position = start;
                        return Err(self.error_found("a closing quote", "none", "close the quoted name"));
                    }
                }
                name.push_str(&self.text[piece..self.position]);
                self.position += 1;
                if self.peek() != Some(b'\'') {
                    return Ok(Some(name));
                }
                name.push('\'');
            }
        }
        while self.peek().is_some_and(|byte| !byte.is_ascii_whitespace() && !b"()[]:;,".contains(&byte)) {
            self.position += 1;
        }
        Ok((self.position > start).then(|| self.text[start..self.position].to_string()))
    }

    /// The length after a colon; `None` where no colon stands.
    fn length(&mut self) -> Result<Option<f64>> {
        self.skip_blanks()?;
        if self.peek() != Some(b':') {
            return Ok(None);
        }
        self.position += 1;
        self.skip_blanks()?;
        let start = self.position;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte)) {
            self.position += 1;
        }
        let word = &self.text[start..self.position];
        match word.parse::<f64>() {
            Ok(length) if length.is_finite() => Ok(Some(length)),
            _ => {
                self.position = start;
                Err(match word {
                    "" => self.error("a branch length after ':'", "write a number"),
                    _ => self.error_found("a branch length", &format!("'{word}'"), "write a finite number"),
                })
            }
        }
    }

    fn tree(&mut self) -> Result<NewickTree> {
        let mut tree = NewickTree::new();
        let mut node = 0;
        // One turn of this loop reads one node from its start; the inner loop closes the nodes that end behind it.
        loop {
            self.skip_blanks()?;
            if self.peek() == Some(b'(') {
                self.position += 1;
                node = tree.add_child(node, None, None);
                continue;
            }
            let Some(name) = self.name()? else {
                return Err(self.error("a leaf name or '('", "name every leaf, and balance the parentheses"));
            };
            tree.nodes[node].name = Some(name);
            tree.nodes[node].length = self.length()?;
            loop {
                self.skip_blanks()?;
                let parent = tree.nodes[node].parent;
                match (self.peek(), parent) {
                    (Some(b','), Some(parent)) => {
                        self.position += 1;
                        node = tree.add_child(parent, None, None);
                        break;
                    }
                    (Some(b')'), Some(parent)) => {
                        self.position += 1;
                        node = parent;
                        tree.nodes[node].label = self.name()?;
                        tree.nodes[node].length = self.length()?;
                    }
                    (Some(b';'), None) => {
                        self.position += 1;
                        return Ok(tree);
                    }
                    (Some(b';') | None, Some(_)) => {
                        return Err(self.error(
                            "',' or ')'",
                            "unbalanced parenthesis: close every parenthesis before the end",
                        ));
                    }
                    (Some(b')'), None) => {
                        return Err(self.error("';'", "unbalanced parenthesis: one ')' too many"));
                    }
                    (_, None) => return Err(self.error("';'", "end the tree with a semicolon")),
                    (_, Some(_)) => {
                        return Err(self.error("',' or ')'", "put names with blanks in quotes"));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_labels_exponents_and_annotations() {
        let tree = NewickTree::parse("((A:0.1,B:0.2)0.97:0.05,C:1e-3,'D d':2.5E-01);\n").unwrap();
        assert_eq!(tree.leaf_names(), ["A", "B", "C", "D d"]);
        let clade = &tree.nodes[tree.nodes[0].children[0]];
        assert_eq!((clade.label.as_deref(), clade.length), (Some("0.97"), Some(0.05)));
        assert_eq!(tree.to_string(), "((A:0.1,B:0.2)0.97:0.05,C:0.001,'D d':0.25);");

        let text =
            " [&R] (A:0.1,(B:0.2,C:[&l]0.3)[&posterior=0.9,length={0.1,0.2}]:0.05[x[y]],D[&x=1]:0.4) [z];";
        let tree = NewickTree::parse(text).unwrap();
        assert_eq!(tree.to_string(), "(A:0.1,(B:0.2,C:0.3):0.05,D:0.4);");
    }

    #[test]
    fn names_are_never_changed_and_quoted_only_where_needed() {
        let text = "(a_b,'it''s',x.y-1,'c d',é,'',A|1#2);";
        let tree = NewickTree::parse(text).unwrap();
        assert_eq!(tree.leaf_names(), ["a_b", "it's", "x.y-1", "c d", "é", "", "A|1#2"]);
        assert_eq!(tree.to_string(), text);
        assert_eq!(NewickTree::parse("('a_b','c');").unwrap().to_string(), "(a_b,c);");
        assert_eq!(NewickTree::parse("a;").unwrap().to_string(), "a;");
        assert_eq!(NewickTree::parse("((a));").unwrap().to_string(), "((a));");
    }

    #[test]
    fn errors_say_where() {
        let cases = [
            ("((A,B),C;", "position 8", "unbalanced parenthesis"),
            ("(A,B));", "position 5", "unbalanced parenthesis"),
            ("(A,B)", "position 5", "semicolon"),
            ("((A,B)", "position 6", "unbalanced parenthesis"),
            ("(A,,B);", "position 3", "leaf name"),
            ("(A,B:x);", "position 5", "found 'x'"),
            ("(A,B:);", "position 5", "found ')'"),
            ("(A,B:inf);", "position 5", "finite"),
            ("(A B,C);", "position 3", "quotes"),
            ("(A,'B);", "position 3", "closing quote"),
            ("(A,B)[x;", "position 5", "comment"),
            ("(A,B); (C,D);", "position 7", "follows"),
            ("", "position 0", "the end of the text"),
        ];
        for (text, position, hint) in cases {
            let message = NewickTree::parse(text).unwrap_err().to_string();
            assert!(message.contains(position) && message.contains(hint), "{text}: {message}");
        }
    }

    #[test]
    fn several_trees() {
        let trees = NewickTree::parse_all("(A,B);\n[c](C,D);\n").unwrap();
        assert_eq!(trees.iter().map(|tree| tree.to_string()).collect::<Vec<_>>(), ["(A,B);", "(C,D);"]);
        assert!(NewickTree::parse_all(" \n").unwrap().is_empty());
    }

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        let depth = 100_000;
        let text = format!("{}A{};", "(".repeat(depth), ",B)".repeat(depth));
        let tree = NewickTree::parse(&text).unwrap();
        assert_eq!(tree.n_leaves(), depth + 1);
        assert_eq!(tree.to_string(), text);
    }

    proptest! {
        #[test]
        fn writing_and_reading_gives_the_same_tree(
            parents in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
            names in prop::collection::vec("[a-z_ '();:,\\[\\]é.-]{0,6}", 41),
            lengths in prop::collection::vec(prop::option::of(0.0..1e9f64), 41),
        ) {
            let mut tree = NewickTree::new();
            for parent in &parents {
                let parent = parent.index(tree.nodes.len());
                tree.add_child(parent, None, None);
            }
            for (index, node) in tree.nodes.iter_mut().enumerate() {
                node.length = lengths[index];
                match node.children.is_empty() {
                    true => node.name = Some(names[index].clone()),
                    false => node.label = Some(names[index].clone()),
                }
            }
            let text = tree.to_string();
            let back = NewickTree::parse(&text).unwrap();
            prop_assert_eq!(back.to_string(), text);
            prop_assert_eq!(back.leaf_names(), tree.leaf_names());
        }

        #[test]
        fn arbitrary_text_gives_a_tree_or_an_error(text in "[()A:;,'\\[\\]0.1e é-]{0,30}") {
            if let Ok(tree) = NewickTree::parse(&text) {
                let written = tree.to_string();
                prop_assert_eq!(NewickTree::parse(&written).unwrap().to_string(), written);
            }
        }
    }
}

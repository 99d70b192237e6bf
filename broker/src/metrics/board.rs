//! What is counted of boards.

use super::label::label;

label! {
    /// What became of a movement on a board.
    Movement {
        /// It was told to the others.
        Told = "told",
        /// A later one of the same member took its place before that.
        Merged = "merged",
    }
}

//! `wharf auth`: logging in and out, and credentials for other programs.

mod input;
mod prompt;

crate::command::commands! {
    /// Log in to registries, and use their credentials
    enum Auth {
        Login(login::Login),
        Logout(logout::Logout),
        Get(get::Get),
        Token(token::Token),
    }
}

"""Does the site do what its users want of it? Asked as they ask: by the web server, with an account."""

"""Where is the knee: a route asked for more and more until it carries no more; pure."""

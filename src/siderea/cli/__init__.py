"""The command line: one thin file per subcommand, arguments to pipeline to files."""

"""What the subcommands do, without their terminal."""

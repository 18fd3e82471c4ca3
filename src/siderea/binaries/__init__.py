"""Finding binaries: cross-correlation and its components, velocities that vary, orbits."""

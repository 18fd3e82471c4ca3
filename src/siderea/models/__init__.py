"""M_spec(θ): models of stellar spectra behind one protocol, their composites, and fits of them."""

"""Wavelengths, Doppler shifts, resampling, broadening, continuum, masks: N spectra at once."""

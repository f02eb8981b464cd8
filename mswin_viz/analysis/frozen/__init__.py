"""Any torch module as a linear map of its inputs, with everything that is not linear held fixed at one input."""

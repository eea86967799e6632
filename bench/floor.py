def measured_beside(state_dir): return {}

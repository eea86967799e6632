"""Payment providers: one file each, all behind `payments.ports.Gateway`, named in `settings.GATEWAYS`."""

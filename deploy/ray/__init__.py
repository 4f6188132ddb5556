"""The same gateway and variants on Ray Serve: `serve run deploy.ray.app:app`."""

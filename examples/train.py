"""Trains by a method of diffcar's, and takes the trained controller."""

import diffcar

config = diffcar.load_config("train-e2e", overrides=["path.source=figure-eight"])
result = diffcar.train("e2e", config, out="figure-eight-run")
driver = diffcar.make_controller("figure-eight-run", diffcar.build_scene(num_envs=2))

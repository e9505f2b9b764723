"""Trains a network through the physics in a loop of one's own, and drives another path."""

import torch

import diffcar

path = diffcar.load_path("random", seed=1)  # or your own: load_path("track.csv", scale=0.1)
scene = diffcar.build_scene(num_envs=24, differentiable=True)
driver = diffcar.make_controller("mlp", scene)
loss = diffcar.TrackingLoss(smoothness=0.05)
adam = torch.optim.Adam(driver.network.parameters(), lr=0.01)
for update in range(100):
    start = diffcar.draw_starts(path, scene.num_envs, seed=update)
    cost = loss.costs(diffcar.rollout(scene, driver, path, start, num_steps=24)).total
    adam.zero_grad()
    scene.backward(cost)
    adam.step()
plain = diffcar.build_scene(num_envs=2)
print(diffcar.drive(plain, driver, diffcar.load_path("slalom")).metrics())

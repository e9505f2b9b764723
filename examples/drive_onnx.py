"""Drives by what `diffcar export shipped --format onnx` wrote, by numpy and ONNX Runtime alone."""

import json
import math

import numpy as np
import onnxruntime

driver = onnxruntime.InferenceSession("exported/controller.onnx")
contract = json.loads(driver.get_modelmeta().custom_metadata_map["contract"])
number = np.float32 if contract["precision"] == 32 else np.float64
dt, car = contract["dt_s"], contract["vehicle"]
x, y, yaw = contract["path"]["start"]
speed = steering = 0.0
memory = np.full(contract["inputs"][1]["shape"], math.nan, number)  # nothing is known yet
for _ in range(400):
    # On your car these are measured; here its wheels roll as they point.
    yaw_rate = speed * math.tan(steering) / car["wheelbase_m"]
    lateral_velocity = yaw_rate * car["point_ahead_of_rear_axle_m"]
    state = np.array([x, y, yaw, speed, lateral_velocity, yaw_rate, steering], number)
    inputs = {"state": state, "memory": memory}
    (steering_command, speed_command), memory = driver.run(None, inputs)
    # And these are sent to its servos, which take a moment.
    steering += 0.3 * float(steering_command - steering)
    speed += 0.2 * float(speed_command - speed)
    yaw += dt * yaw_rate
    x += dt * (speed * math.cos(yaw) - lateral_velocity * math.sin(yaw))
    y += dt * (speed * math.sin(yaw) + lateral_velocity * math.cos(yaw))
way, length = memory[0], contract["path"]["length_m"]
print(f"after {400 * dt:g} s at {way:.2f} m of {length:.2f} m")

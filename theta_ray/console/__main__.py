"""python -m theta_ray.console: the command `theta-ray` where it is not on the PATH, as in a job's own folder."""

from theta_ray.console.main import main

if __name__ == "__main__":
    main()

"""The consensus layer of Ethereum: containers, forks, domains, duties and their signing roots."""

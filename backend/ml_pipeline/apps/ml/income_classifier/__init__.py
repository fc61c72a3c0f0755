"""The three reference algorithms: does a person of the Adult census data earn more than 50,000 dollars a year?"""
